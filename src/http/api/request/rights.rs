//! Rights of an admitted request: the tags that it may change, and the repositories that it sees.

use std::sync::Arc;

use http::request::Parts;

use crate::auth::{
    Client, Permission, Requester, Rights, Scope, Subject, Visible, is_authorized, is_visible,
    visible,
};
use crate::oci::RepositoryName;
use crate::registry::{TagChanges, Visibility};

/// Returns the changes of tags that a request may make in a repository into which it may push.
pub(crate) fn tag_changes(head: &Parts, repository: &RepositoryName) -> TagChanges {
    // every request that reaches a handler of changes was admitted
    let requester = head.extensions.get::<Requester>();
    let rights = requester.map_or(Rights::NONE, |requester| {
        requester.rights(repository.as_str())
    });
    match (
        rights.contains(Rights::CREATE),
        rights.contains(Rights::UPDATE),
    ) {
        (true, true) => TagChanges::All,
        (false, true) => TagChanges::Moves,
        (_, false) => TagChanges::Creations,
    }
}

/// Returns the repositories that lists show to the client of a request.
pub(crate) fn visibility(head: &Parts) -> Visibility {
    let hidden = || Visibility::Some {
        prefixes: Vec::new(),
        is_visible: Arc::new(|_| false),
    };
    let Some(requester) = head.extensions.get::<Requester>() else {
        return hidden();
    };
    match visible(requester) {
        Visible::All => Visibility::All,
        Visible::Prefixes(prefixes) => {
            let requester = requester.clone();
            Visibility::Some {
                prefixes,
                is_visible: Arc::new(move |name| is_visible(&requester, name)),
            }
        }
    }
}

/// Returns the repositories whose content the client of a request may read.
///
/// Within what lists of names show, a token that lists access limits its bearer to that.
pub(crate) fn readable(head: &Parts) -> Visibility {
    let requester = head.extensions.get::<Requester>().cloned();
    match requester.filter(|requester| !requester.identity().is_unlimited()) {
        None => visibility(head),
        Some(requester) => Visibility::Some {
            prefixes: vec![String::new()],
            is_visible: Arc::new(move |name| {
                let name = RepositoryName::parse(name);
                let scope = name.map(|name| Scope::repository(&name, Permission::Pull));
                scope.is_ok_and(|scope| is_authorized(&requester, &scope))
            }),
        },
    }
}

/// Returns the repositories that everybody may pull, without a login and from anywhere; `None` without access rules.
pub(crate) fn public(requester: &Requester) -> Option<Visibility> {
    let rules = Arc::clone(requester.rules()?);
    Some(Visibility::Some {
        prefixes: vec![String::new()],
        is_visible: Arc::new(move |name| {
            let anybody = Client {
                subject: Subject::Anonymous,
                address: None,
            };
            rules.rights(anybody, name).contains(Rights::PULL)
        }),
    })
}
