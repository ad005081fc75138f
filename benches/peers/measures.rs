//! The measures that a run can consist of.

use crate::error::Result;
use crate::options::Choice;
use crate::series::Section;
use crate::trial::Bench;
use crate::{images, manifest, memory, pull, push};

#[derive(Clone, Copy)]
pub struct Measure {
    pub choice: Choice,
    pub run: fn(&Bench) -> Result<Section>,
}

pub const MEASURES: [Measure; 7] = [
    Measure {
        choice: Choice {
            name: "pull",
            about: "GET of one big blob: wall and server CPU",
            is_default: true,
        },
        run: pull::one,
    },
    Measure {
        choice: Choice {
            name: "pull4",
            about: "the same blob on four connections at once",
            is_default: true,
        },
        run: pull::four,
    },
    Measure {
        choice: Choice {
            name: "push",
            about: "POST, then PUT with the whole blob",
            is_default: true,
        },
        run: push::whole,
    },
    Measure {
        choice: Choice {
            name: "push-chunked",
            about: "POST, PATCH with a chunked stream, PUT: as docker pushes",
            is_default: true,
        },
        run: push::chunked,
    },
    Measure {
        choice: Choice {
            name: "manifest",
            about: "a manifest by tag, 16 keep-alive connections",
            is_default: true,
        },
        run: manifest::run,
    },
    Measure {
        choice: Choice {
            name: "images",
            about: "small images pushed by 8 clients",
            is_default: true,
        },
        run: images::run,
    },
    Measure {
        choice: Choice {
            name: "memory",
            about: "peak memory while 32 clients push and pull shared layers",
            is_default: false,
        },
        run: memory::run,
    },
];
