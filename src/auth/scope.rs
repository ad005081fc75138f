//! What requests want, in the terms of distribution's token specification (`docs/content/spec/auth/scope.md`).

use std::fmt;

use crate::oci::RepositoryName;

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    Repository(RepositoryName),
    /// The list of all repositories.
    Catalog,
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    Pull,
    Push,
    Delete,
    /// Everything there is to do; the only one that the catalog knows.
    All,
}

/// One permission on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    pub resource: Resource,
    pub permission: Permission,
}

/// What a request wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredScopes {
    /// Without all of these it is refused.
    pub required: Vec<Scope>,
    /// Without these it is served in a lesser way. A challenge names them as well, for clients to ask for.
    pub optional: Vec<Scope>,
}

impl Resource {
    /// `repository` or `registry`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Repository(_) => "repository",
            Self::Catalog => "registry",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Repository(name) => name.as_str(),
            Self::Catalog => "catalog",
        }
    }
}

impl Permission {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::All => "*",
        }
    }
}

impl Scope {
    pub fn repository(name: &RepositoryName, permission: Permission) -> Self {
        Self {
            resource: Resource::Repository(name.clone()),
            permission,
        }
    }

    pub fn catalog() -> Self {
        Self {
            resource: Resource::Catalog,
            permission: Permission::All,
        }
    }
}

impl RequiredScopes {
    pub fn all(&self) -> impl Iterator<Item = &Scope> {
        self.required.iter().chain(&self.optional)
    }
}

/// The permissions of each resource together, as a challenge's `scope` has them: `repository:a:pull,push registry:catalog:*`.
impl fmt::Display for RequiredScopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last: Option<&Resource> = None;
        for scope in self.all() {
            match last.replace(&scope.resource) {
                Some(last) if *last == scope.resource => {
                    write!(formatter, ",{}", scope.permission.as_str())?
                }
                before => {
                    let separator = if before.is_some() { " " } else { "" };
                    write!(
                        formatter,
                        "{separator}{}:{}:{}",
                        scope.resource.kind(),
                        scope.resource.name(),
                        scope.permission.as_str()
                    )?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_one_resource_are_written_together() {
        let (a, b) = (
            RepositoryName::parse("a").unwrap(),
            RepositoryName::parse("b/c").unwrap(),
        );
        let wanted = RequiredScopes {
            required: vec![
                Scope::repository(&a, Permission::Pull),
                Scope::repository(&a, Permission::Push),
            ],
            optional: vec![Scope::repository(&b, Permission::Pull)],
        };
        assert_eq!(
            wanted.to_string(),
            "repository:a:pull,push repository:b/c:pull"
        );
        assert_eq!(
            RequiredScopes {
                required: vec![Scope::catalog()],
                optional: Vec::new()
            }
            .to_string(),
            "registry:catalog:*"
        );
        assert_eq!(RequiredScopes::default().to_string(), "");
    }
}
