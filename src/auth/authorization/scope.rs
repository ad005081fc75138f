//! Scopes of access, in the terms of distribution's token specification (`docs/content/spec/auth/scope.md`).

use std::fmt;

use crate::oci::RepositoryName;

/// Object of an action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    Repository(RepositoryName),
    /// List of all repositories.
    Catalog,
}

/// Action on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    Pull,
    Push,
    Delete,
    /// Every action; the only one defined for the catalog.
    All,
}

/// One permission on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    pub resource: Resource,
    pub permission: Permission,
}

/// Scopes that a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredScopes {
    /// The request is refused unless all of these are granted.
    pub required: Vec<Scope>,
    /// The request is served with less without these. A challenge names them, so that clients ask for them.
    pub optional: Vec<Scope>,
}

impl Resource {
    /// Returns the type in a scope: `repository` or `registry`.
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

/// Formats the `scope` of a challenge, permissions grouped by resource: `repository:a:pull,push registry:catalog:*`.
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
    fn scopes_are_grouped_by_resource() {
        let (a, b) = (
            RepositoryName::parse("a").unwrap(),
            RepositoryName::parse("b/c").unwrap(),
        );
        let scopes = RequiredScopes {
            required: vec![
                Scope::repository(&a, Permission::Pull),
                Scope::repository(&a, Permission::Push),
            ],
            optional: vec![Scope::repository(&b, Permission::Pull)],
        };
        assert_eq!(
            scopes.to_string(),
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
