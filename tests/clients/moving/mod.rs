//! Moving in: stores that real clients have filled by way of Debian's `docker-registry` 2.8.2, taken over and imported.

mod damage;
mod growing;
mod in_place;
mod pulls;
mod pushes;
mod served;
mod tree;
mod volume;

pub use damage::{damaged_store_imported, damaged_store_taken_over};
pub use growing::imported_while_it_grows;
pub use in_place::taken_over_and_back;
pub use volume::on_the_volume_of_registry_2;
