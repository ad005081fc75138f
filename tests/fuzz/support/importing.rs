//! Imports as a user makes them: planned, made, and made again, with what must hold of each.

use tarkeep::import::{
    Damage, Error, Importer, NewContent, Place, Problem, Report, Selection, Source,
};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{ManifestReference, Pace, Way};

use crate::store::{Store, actor};

/// Digest of the content outside of a directory, which must not come here.
const OUTSIDE_DIGEST: &str = "921bd0a52b556cc958b8adfbbd9607ba6f222322625ad3d7b2833e5e1f6bbae7";

/// Choices of the user.
pub struct Choices {
    pub place: Option<Place>,
    pub way: Way,
}

impl Choices {
    /// Reads the choices off a byte.
    pub fn of(byte: u8) -> Self {
        let place = match byte & 3 {
            0 => Some("team/app"),
            1 => Some("team/app:v1"),
            _ => None,
        };
        Self {
            place: place.and_then(|place| Place::parse(place).ok()),
            way: if byte & 4 == 0 { Way::Link } else { Way::Copy },
        }
    }
}

/// Imports a source: its plan foretells what comes, and what has come does not come again.
pub fn import(store: &mut Store, choices: &Choices, source: &dyn Fn() -> Source) {
    store.use_once();
    let registry = store.registry.clone();
    let plan = run(
        store,
        choices,
        source(),
        Importer::plan(Some(registry.clone()), Selection::default(), actor()),
    );
    let new = || Importer::new(registry.clone(), Selection::default(), choices.way, actor());
    let made = run(store, choices, source(), new());
    if !has_altered(&made) {
        assert_eq!(
            outline(&plan),
            outline(&made),
            "the plan and the import differ"
        );
    }
    let Ok(made) = made else {
        return;
    };
    let outside = format!("blobs/sha256/{}/{OUTSIDE_DIGEST}", &OUTSIDE_DIGEST[..2]);
    assert!(
        !store.root.join(outside).exists(),
        "content from outside has come"
    );
    let mut ignore = |_: &_, _| {};
    let checking = registry.import().check_blobs(Pace::Yielding, &mut ignore);
    store.runtime.block_on(checking).expect("a check");
    for moved in &made.moved {
        let reference = ManifestReference::Tag(moved.tag.clone());
        let found = store
            .runtime
            .block_on(registry.manifests().get(&moved.repository, &reference));
        assert_eq!(found.expect("a tag").digest, moved.digest);
    }
    let again = run(store, choices, source(), new()).expect("it is imported again");
    // images with a gap are read again, because it may be filled
    assert!(
        !again.problems.is_empty() || tags(&again).is_empty(),
        "{again:?} comes again after {made:?}"
    );
}

fn run(
    store: &Store,
    choices: &Choices,
    source: Source,
    mut importer: Importer,
) -> Result<Report, Error> {
    importer.place.clone_from(&choices.place);
    importer.moves_tags = true;
    match store.runtime.block_on(importer.run(source)) {
        Ok(()) => Ok(importer.finish()),
        Err(error) => {
            let is_of_source = matches!(
                error,
                Error::Archive { .. }
                    | Error::NoImages(_)
                    | Error::List { .. }
                    | Error::OneTag { .. }
            );
            assert!(is_of_source, "{error:?}");
            Err(error)
        }
    }
}

/// Repositories with the new content of each, the number of new blobs and that of problems; or the error.
type Outline = Result<(Vec<(RepositoryName, NewContent)>, u64, usize), String>;

fn outline(outcome: &Result<Report, Error>) -> Outline {
    match outcome {
        Ok(report) => {
            let repositories = report.repositories.iter();
            let repositories = repositories.map(|(name, content)| (name.clone(), *content));
            Ok((repositories.collect(), report.blobs, report.problems.len()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// True if a blob was found to be another one, which a plan does not read.
fn has_altered(outcome: &Result<Report, Error>) -> bool {
    let is_altered = |problem: &Problem| matches!(problem.damage, Damage::AlteredBlob(_));
    let report = outcome.as_ref().ok();
    report.is_some_and(|report| report.problems.iter().any(is_altered))
}

/// Returns the repositories that get new tags or manifests.
fn tags(report: &Report) -> Vec<&RepositoryName> {
    let repositories = report.repositories.iter();
    let new = repositories.filter(|(_, new)| new.tags + new.manifests > 0);
    new.map(|(name, _)| name).collect()
}
