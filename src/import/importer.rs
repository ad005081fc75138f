//! An import beside a running server: what is recorded is durable and served at once.
//!
//! It is repeated from the beginning after whatever interrupted it. What is here already is not read again.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::import::archive::{LayoutDirectory, Place, Spooled};
use crate::import::claims::Claims;
use crate::import::error::Error;
use crate::import::importing::Importing;
use crate::import::report::{ImportState, Ledger, Report};
use crate::import::selection::Selection;
use crate::import::source::Source;
use crate::import::waiter::Waiter;
use crate::registry::{self, Actor, Registry, Way};
use crate::threads::blocking;

/// An import, or the plan of one.
pub struct Importer {
    pub selection: Selection,
    /// The way of blobs' files; `None` only plans.
    pub way: Option<Way>,
    pub actor: Actor,
    /// Place for all images of a layout, which may have no names.
    pub place: Option<Place>,
    /// Move tags that were changed here, too.
    pub moves_tags: bool,
    /// The registry here; a plan needs none.
    registry: Option<Registry>,
    ledger: Arc<Ledger>,
}

impl Importer {
    /// Plans an import into a registry that may not exist yet.
    pub fn plan(registry: Option<Registry>, selection: Selection, actor: Actor) -> Self {
        Self {
            selection,
            way: None,
            actor,
            place: None,
            moves_tags: false,
            registry,
            ledger: Arc::default(),
        }
    }

    /// Imports into a registry.
    pub fn new(registry: Registry, selection: Selection, way: Way, actor: Actor) -> Self {
        Self {
            way: Some(way),
            ..Self::plan(Some(registry), selection, actor)
        }
    }

    /// Returns how far it is.
    pub fn state(&self) -> ImportState {
        self.ledger.state()
    }

    /// Imports from a source, or plans that.
    pub async fn run(&self, source: Source) -> Result<(), Error> {
        let receiver = Importing {
            registry: self.registry.clone(),
            way: self.way,
            actor: self.actor.clone(),
            ledger: Arc::clone(&self.ledger),
            claims: Claims::default(),
            moves_tags: self.moves_tags,
            cached_from: None,
            waiter: Waiter::new(Handle::current()),
        };
        if let Some(registry) = &self.registry {
            let damaged = registry.import().damaged_blobs().await?;
            self.ledger.expect_blobs(damaged);
        }
        let (selection, place) = (self.selection.clone(), self.place.clone());
        let reading = blocking::run(move || match source {
            Source::Distribution(store) => receiver.read_store(&store, &selection),
            Source::Remote(registry) => receiver.read_registry(&registry, &selection),
            Source::Layout(directory) => {
                let contents = LayoutDirectory(directory);
                receiver.read_images(&contents, &selection, place.as_ref())
            }
            Source::Archive { path, input } => {
                let spool = receiver.spool();
                let contents = Spooled::read(&path, input, &*spool, &receiver)?;
                receiver.read_images(&contents, &selection, place.as_ref())
            }
        });
        reading
            .await
            .map_err(|error| registry::Error::Internal(error.to_string()))?
    }

    /// Ends with the report.
    pub fn finish(self) -> Report {
        self.ledger.report()
    }
}
