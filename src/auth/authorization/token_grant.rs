//! Rights of a token by itself, beside the access rules that name it.

use super::claims::Names;
use super::pattern::RepositoryPattern;
use super::rights::Rights;

/// Grant of a token, as its owner made it.
#[derive(Debug)]
pub struct TokenGrant {
    name: String,
    /// Id of the secret that was sent.
    secret: String,
    /// `token:NAME`, as rules and logs have it.
    label: String,
    /// User whose rights it never exceeds.
    owner: Option<String>,
    repositories: Vec<RepositoryPattern>,
    may: Rights,
}

impl TokenGrant {
    /// Reads a grant: globs, and actions separated by commas. What is not understood grants nothing.
    pub(in crate::auth) fn read(
        secret: &str,
        name: &str,
        owner: Option<&str>,
        repositories: &[String],
        may: &str,
    ) -> Self {
        let actions = may.split(',').map(str::trim);
        Self {
            label: format!("token:{name}"),
            name: name.to_owned(),
            secret: secret.to_owned(),
            owner: owner.map(str::to_owned),
            repositories: repositories
                .iter()
                .filter_map(|text| RepositoryPattern::parse(text).ok())
                .collect(),
            may: actions
                .filter_map(|action| Rights::parse(action).ok())
                .fold(Rights::NONE, |all, rights| all | rights),
        }
    }

    pub(in crate::auth) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::auth) fn secret(&self) -> &str {
        &self.secret
    }

    pub(in crate::auth) fn label(&self) -> &str {
        &self.label
    }

    pub(in crate::auth) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    fn names(&self) -> Names<'_> {
        Names::of_user(self.owner())
    }

    /// Returns the rights in a repository.
    pub(in crate::auth) fn rights(&self, repository: &str) -> Rights {
        let mut patterns = self.repositories.iter();
        let is_covered = patterns.any(|pattern| pattern.matches(repository, self.names()));
        if is_covered { self.may } else { Rights::NONE }
    }

    /// Returns the prefixes of all names that may be pulled.
    pub(in crate::auth) fn visible(&self) -> Vec<String> {
        if !self.may.contains(Rights::PULL) {
            return Vec::new();
        }
        let patterns = self.repositories.iter();
        patterns
            .filter_map(|pattern| pattern.prefix(self.names()))
            .collect()
    }

    /// Reports whether it gives these rights in every repository.
    pub(in crate::auth) fn gives_everywhere(&self, rights: Rights) -> bool {
        let mut patterns = self.repositories.iter();
        self.may.contains(rights) && patterns.any(RepositoryPattern::is_everything)
    }
}
