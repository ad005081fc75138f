//! Archives: image layouts and what `docker save` writes. None writes anywhere but into the store, takes more memory or time
//! than its size allows, or shows a plan that the import does not keep.
//!
//! An input is a byte with the user's choices, and an archive, which is mended before it is read unless the choice is to take
//! it as it is.

#![no_main]

#[path = "../support/importing.rs"]
mod importing;
#[path = "../support/scratch.rs"]
mod scratch;
#[path = "../support/store.rs"]
mod store;
#[path = "../support/tar.rs"]
mod tar;

use std::cell::RefCell;
use std::io::Cursor;
use std::path::PathBuf;

use importing::{Choices, import};
use libfuzzer_sys::fuzz_target;
use store::Store;
use tarkeep::import::Source;

/// Choice to take the archive as it is.
const AS_IT_IS: u8 = 8;

thread_local! {
    static STORE: RefCell<Store> = RefCell::new(Store::new());
    /// Working directory, in which no archive makes a file.
    static EMPTY: PathBuf = {
        let directory = scratch::directory();
        std::env::set_current_dir(&directory).expect("a working directory");
        directory
    };
}

fuzz_target!(|data: &[u8]| {
    let Some((choices, archive)) = data.split_first() else {
        return;
    };
    let mut archive = archive.to_vec();
    if choices & AS_IT_IS == 0 {
        tar::mend(&mut archive);
    }
    let source = || Source::Archive {
        path: "archive".into(),
        input: Box::new(Cursor::new(archive.clone())),
    };
    EMPTY.with(|empty| {
        STORE.with_borrow_mut(|store| import(store, &Choices::of(*choices), &source));
        let made = std::fs::read_dir(empty).expect("a directory").next();
        assert!(made.is_none(), "{made:?} was made");
    });
});
