//! A full store beside an empty one: `cargo bench --bench store [REPOSITORIES [TAGS]]`.
//!
//! Generates a store through the metadata layer (100,000 repositories and 1,000,000 tags unless told otherwise), serves
//! it, and an empty one, with the real binary, and measures both in turns: how long until the first answer after a
//! start, a manifest by tag, a page of the catalogue, a page of tags. What is printed is the median of each and the
//! ratio of the two; everything follows the change and not the store if the ratios are near 1.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tarkeep::blob::Hasher;
use tarkeep::meta::{Actor, Error, Meta, NewManifest, WriteTx, now};
use tarkeep::oci::{Algorithm, MediaType, RepositoryName, TagName};

/// How many repositories are made in one change.
const STEP: usize = 500;
const STARTS: usize = 15;
const REQUESTS: usize = 3000;
const PAGES: usize = 300;

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let repositories = numbers.first().copied().unwrap_or(100_000);
    let tags = numbers.get(1).copied().unwrap_or(repositories * 10);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (full, empty) = (
        directory.path().join("full"),
        directory.path().join("empty"),
    );

    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let started = Instant::now();
    runtime.block_on(generate(&full, repositories, tags / repositories));
    println!(
        "generated {repositories} repositories and {tags} tags in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    // one repository with as many tags as one of the full store's, so that pages are of the same length
    runtime.block_on(generate(&empty, 1, tags / repositories));
    drop(runtime);
    let size = std::fs::metadata(full.join("registry.db"))
        .expect("a database")
        .len();
    println!("its database has {} MiB", size >> 20);

    let middle = name(repositories / 2);
    let measures: [(&str, usize, String, String); 4] = [
        (
            "manifest by tag",
            REQUESTS,
            format!("/v2/{middle}/manifests/v1"),
            format!("/v2/{}/manifests/v1", name(0)),
        ),
        (
            "HEAD-like miss",
            REQUESTS,
            format!("/v2/{middle}/manifests/none"),
            format!("/v2/{}/manifests/none", name(0)),
        ),
        (
            "page of tags",
            PAGES,
            format!("/v2/{middle}/tags/list?n=10"),
            format!("/v2/{}/tags/list?n=10", name(0)),
        ),
        (
            "page of catalogue",
            PAGES,
            format!("/v2/_catalog?n=1&last={middle}"),
            "/v2/_catalog?n=1".to_owned(),
        ),
    ];
    println!(
        "{:20} {:>12} {:>12} {:>7}",
        "median", "full", "empty", "ratio"
    );
    let starts = in_turns(STARTS, || time_start(&full), || time_start(&empty));
    report("start to answer", starts);
    let (mut full, mut empty) = (Served::start(&full), Served::start(&empty));
    for (label, count, of_full, of_empty) in measures {
        report(
            label,
            in_turns(count, || full.time(&of_full), || empty.time(&of_empty)),
        );
    }
}

fn name(number: usize) -> String {
    format!("group-{:03}/project-{number:06}", number % 1000)
}

/// Makes `repositories` of `tags` tags each, all on one small manifest.
async fn generate(directory: &Path, repositories: usize, tags: usize) {
    std::fs::create_dir_all(directory).expect("a directory");
    let meta = Meta::open(&directory.join("registry.db"), Box::new(|| Ok(()))).expect("a database");
    for first in (0..repositories).step_by(STEP) {
        let last = repositories.min(first + STEP);
        meta.write(move |tx| (first..last).try_for_each(|number| make(tx, &name(number), tags)))
            .await
            .expect("a commit");
    }
}

fn make(tx: &WriteTx<'_>, name: &str, tags: usize) -> Result<(), Error> {
    let bytes = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{}},"name":"{name}"}}"#,
        MediaType::OCI_MANIFEST
    );
    let manifest = NewManifest {
        digest: Hasher::digest(Algorithm::Sha256, bytes.as_bytes()),
        media_type: MediaType::OCI_MANIFEST.to_owned(),
        artifact_type: None,
        subject: None,
        bytes: bytes.into_bytes().into(),
    };
    let repository = tx.ensure_repository(&RepositoryName::parse(name).expect("a name"), now())?;
    let manifest = tx.insert_manifest(repository, &manifest, now())?;
    (0..tags).try_for_each(|number| {
        let tag = TagName::parse(&format!("v{number}")).expect("a tag");
        tx.set_tag(repository, &tag, manifest, &Actor::default(), now())
    })
}

/// Measures A and B alternately, so that both meet the same weather.
fn in_turns(
    count: usize,
    mut a: impl FnMut() -> Duration,
    mut b: impl FnMut() -> Duration,
) -> [Duration; 2] {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..count {
        of_a.push(a());
        of_b.push(b());
    }
    [of_a, of_b].map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

fn report(label: &str, [full, empty]: [Duration; 2]) {
    let micros = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
    println!(
        "{label:20} {:>12} {:>12} {:>7.2}",
        micros(full),
        micros(empty),
        full.as_secs_f64() / empty.as_secs_f64()
    );
}

fn time_start(directory: &Path) -> Duration {
    let started = Instant::now();
    let mut served = Served::start(directory);
    served.time("/v2/");
    started.elapsed()
}

/// A running server and a connection to it.
struct Served {
    child: Child,
    connection: BufReader<TcpStream>,
}

impl Served {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split(',').next())
            .expect("an address");
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self {
            child,
            connection: BufReader::new(stream),
        }
    }

    fn time(&mut self, path: &str) -> Duration {
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let started = Instant::now();
        self.connection
            .get_mut()
            .write_all(request.as_bytes())
            .expect("sent");
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.connection.read_line(&mut line).expect("a header");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).expect("a body");
        started.elapsed()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
