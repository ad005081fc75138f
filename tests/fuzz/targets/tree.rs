//! Directories: stores of distribution, and image layouts. Nothing outside of one comes here, and it is never changed.
//!
//! An input is a byte with the user's choices, and lines that make the directory:
//!
//! ```text
//! blob CONTENT            a blob of a store; the Nth of them is %N in what follows, from 0 to 9, and @N with its algorithm
//! layer NAME @N           its link in a repository
//! revision NAME @N        the link of a manifest
//! tag NAME TAG @N         a tag, and its history
//! file PATH CONTENT       any file
//! link PATH TARGET        a symbolic link; ^ is a file outside
//! directory PATH
//! fifo PATH
//! ```

#![no_main]

#[path = "../support/importing.rs"]
mod importing;
#[path = "../support/scratch.rs"]
mod scratch;
#[path = "../support/store.rs"]
mod store;
#[path = "../support/tree.rs"]
mod tree;

use std::cell::RefCell;
use std::path::Path;

use importing::{Choices, import};
use libfuzzer_sys::fuzz_target;
use store::Store;
use tarkeep::import::Source;
use tree::Tree;

thread_local! {
    static STORE: RefCell<Store> = RefCell::new(Store::new());
    static TREE: RefCell<Tree> = RefCell::new(Tree::new(scratch::directory()));
}

fuzz_target!(|data: &[u8]| {
    let Some((choices, script)) = data.split_first() else {
        return;
    };
    let script = String::from_utf8_lossy(script);
    TREE.with_borrow_mut(|tree| {
        tree.make(&script);
        let root = tree.root();
        if Source::open(&root).is_err() {
            return;
        }
        let mut choices = Choices::of(*choices);
        if is_store(&root) {
            choices.place = None;
        }
        let before = tree.snapshot();
        STORE.with_borrow_mut(|store| {
            import(store, &choices, &|| Source::open(&root).expect("a source"));
        });
        assert_eq!(tree.snapshot(), before, "the source was changed");
    });
});

/// True if the source is a store, for whose images no place can be named.
fn is_store(root: &Path) -> bool {
    matches!(Source::open(root), Ok(Source::Distribution(_)))
}
