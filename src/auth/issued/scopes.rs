//! Scopes that clients ask the token service for (distribution's `docs/content/spec/auth/scope.md`).

use crate::auth::authorization::identity::Grant;
use crate::auth::authorization::{Permission, Requester, Resource, Scope, is_allowed};
use crate::oci::RepositoryName;

/// Maximum size of what a token lists, in bytes: with the rest, half of the header that proxies pass.
const BUDGET: usize = 3072;
/// Size of an entry besides its name.
const ENTRY: usize = 64;

/// Permissions in the order in which they are granted.
const ALL: [Permission; 4] = [
    Permission::Pull,
    Permission::Push,
    Permission::Delete,
    Permission::All,
];

/// Returns what a client may have now of the scopes it asks for, up to a fixed size.
///
/// Each text holds scopes between spaces. What is unknown, malformed or forbidden is left out, and is no error.
pub(super) fn granted<'t>(
    requester: &Requester,
    texts: impl Iterator<Item = &'t str>,
) -> Vec<Grant> {
    let mut grants: Vec<Grant> = Vec::new();
    let mut size = 0;
    let wanted = texts
        .flat_map(str::split_ascii_whitespace)
        .filter_map(parse);
    for (resource, permissions) in wanted {
        let known = grants.iter().position(|grant| grant.is_of(&resource));
        if known.is_none() && size + ENTRY + resource.name().len() > BUDGET {
            // others may be shorter, but one text has one meaning
            break;
        }
        let may = |permission: &Permission| {
            let scope = Scope {
                resource: resource.clone(),
                permission: *permission,
            };
            is_allowed(requester, &scope)
        };
        let allowed: Vec<_> = permissions.into_iter().filter(may).collect();
        match known {
            Some(position) => grants[position].add(&allowed),
            None if allowed.is_empty() => {}
            None => {
                size += ENTRY + resource.name().len();
                grants.push(Grant::new(&resource, &allowed));
            }
        }
    }
    grants
}

/// Parses `repository:NAME:ACTIONS` or `registry:catalog:*`; a class in parentheses behind the type is ignored.
fn parse(text: &str) -> Option<(Resource, Vec<Permission>)> {
    let (kind, rest) = text.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let kind = kind.split_once('(').map_or(kind, |(kind, _)| kind);
    let is_wanted = |permission: &Permission| {
        let mut actions = actions.split(',');
        actions.any(|action| action == "*" || action == permission.as_str())
    };
    match (kind, name) {
        ("repository", name) => {
            let name = RepositoryName::parse(name).ok()?;
            let permissions = ALL.into_iter().filter(is_wanted);
            Some((Resource::Repository(name), permissions.collect()))
        }
        ("registry", "catalog") => {
            is_wanted(&Permission::All).then_some((Resource::Catalog, vec![Permission::All]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_parsed_as_clients_write_them() {
        let read = |text: &str| {
            parse(text).map(|(resource, permissions)| {
                let permissions: Vec<_> = permissions.iter().map(|it| it.as_str()).collect();
                format!("{}:{}", resource.name(), permissions.join(","))
            })
        };
        for (text, meaning) in [
            ("repository:a/b:pull", Some("a/b:pull")),
            ("repository(plugin):a:push,pull", Some("a:pull,push")),
            ("repository:a:*", Some("a:pull,push,delete,*")),
            ("repository:a:fly", Some("a:")),
            ("registry:catalog:*", Some("catalog:*")),
            ("registry:catalog:pull", None),
            ("repository:A:pull", None),
            ("repository:a", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), meaning, "{text}");
        }
    }
}
