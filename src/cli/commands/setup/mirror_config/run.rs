//! The command.

use serde_json::json;

use super::files::{Client, files, note};
use super::mirrored::{place, upstreams};
use crate::cli::error::Error;
use crate::cli::from_config::check::Flags;
use crate::cli::sources::Sources;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output};

/// Print files that lead a client to the upstreams of this registry
///
/// They follow from the server's configuration: its upstreams with a namespace (ns), their own
/// addresses (listen), and its name (http.host).
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Client that the files are for
    client: Client,
    /// Name by which clients reach the registry [default: http.host, or http.addr]
    #[arg(long, value_name = "HOST:PORT")]
    host: Option<String>,
    /// The server's configuration [default: that of the running server]
    #[arg(long, value_name = "CONFIG.yml")]
    config: Option<std::path::PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let sources = Sources::find(arguments.config, Flags::default())?;
    let config = sources.draft()?.finish()?.config;
    let here = place(&config, arguments.host.as_deref())?;
    let upstreams = upstreams(&config, &here)?;
    let files = files(arguments.client, &here, &upstreams)?;
    match arguments.output.format {
        Format::Json => {
            let files: Vec<_> = files
                .iter()
                .map(|file| json!({ "path": file.path, "content": file.content }))
                .collect();
            json::print(&json!({ "files": files }))
        }
        Format::Text => {
            if let Some(note) = note(arguments.client, &upstreams) {
                output::complain(&note);
            }
            if let [file] = &*files {
                output::complain(&format!("{}:", file.path));
                return output::print_raw(file.content.as_bytes());
            }
            // each begins with a comment, which says where it ends in a pipe, too
            let parts = files
                .iter()
                .map(|file| format!("# {}\n{}", file.path, file.content));
            output::print_raw(parts.collect::<Vec<_>>().join("\n").as_bytes())
        }
    }
}
