//! Layers as lines of a Dockerfile, with the space that each takes.

use std::collections::HashMap;
use std::fmt;

use askama::filters::HtmlSafe;

use crate::oci::{BuildStep, Descriptor, RepositoryName};
use crate::registry::{Error, ImageDescription, LayerSpread, Registry};
use crate::ui::parts::{Bar, Size, Text, scaled, short};
use crate::ui::site::Reader;

/// Maximum number of lines.
const LINES: usize = 300;

/// An instruction, with the layer that it made.
pub struct Layer {
    /// `RUN`, or the digest of a layer that no instruction tells of.
    pub instruction: String,
    pub rest: String,
    pub size: Option<u64>,
    /// Of the layer; `None` for an instruction that made none.
    pub digest: Option<String>,
    largest: u64,
    spread: Option<LayerSpread>,
}

/// Reach of a layer: who else needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Repositories,
    Tags,
    Own,
    Unknown,
}

impl Layer {
    fn share(&self) -> Share {
        match self.spread {
            None => Share::Unknown,
            Some(spread) if spread.repositories > 1 => Share::Repositories,
            Some(spread) if spread.images > 1 => Share::Tags,
            Some(_) => Share::Own,
        }
    }

    pub fn bar(&self) -> Bar {
        Bar {
            part: self.size.unwrap_or_default(),
            whole: self.largest,
            class: class(self.share()),
        }
    }

    pub fn text(&self) -> Text {
        Text::of(&self.rest)
    }

    /// Says who else has the layer.
    pub fn shared(&self) -> String {
        match (self.size, self.spread) {
            (Some(_), Some(spread)) if spread.repositories > 1 => {
                format!("{} repositories", spread.repositories)
            }
            (Some(_), Some(spread)) if spread.images > 1 => {
                format!("{} images here", spread.images)
            }
            (Some(_), Some(_)) => "only here".to_owned(),
            _ => String::new(),
        }
    }
}

fn class(share: Share) -> &'static str {
    match share {
        Share::Repositories => "shared",
        Share::Tags | Share::Unknown => "",
        Share::Own => "own",
    }
}

/// Layers side by side, to scale.
pub struct Strip {
    parts: Vec<(u64, Share)>,
    whole: u64,
}

impl Strip {
    fn sum(&self, share: Share) -> Option<Size> {
        let parts = self.parts.iter().filter(|part| part.1 == share);
        let sum = parts.map(|part| part.0).sum();
        (sum > 0).then_some(Size(sum))
    }

    pub fn is_empty(&self) -> bool {
        self.whole == 0
    }

    pub fn with_repositories(&self) -> Option<Size> {
        self.sum(Share::Repositories)
    }

    pub fn with_tags(&self) -> Option<Size> {
        self.sum(Share::Tags)
    }

    pub fn own(&self) -> Option<Size> {
        self.sum(Share::Own)
    }
}

impl fmt::Display for Strip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDTH: u64 = 7720;
        const GAP: u64 = 20;
        write!(
            f,
            "<svg class=\"strip\" viewBox=\"0 0 {WIDTH} 160\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        let mut from = 0;
        for (size, share) in &self.parts {
            let width = scaled(*size, self.whole, WIDTH);
            let (class, shown) = (class(*share), width.saturating_sub(GAP).max(10));
            write!(
                f,
                "<rect class=\"{class}\" x=\"{from}\" width=\"{shown}\" height=\"160\"/>"
            )?;
            from += width.max(GAP + 10);
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Strip {}

/// Returns the instructions of an image with their layers, or its layers alone.
pub async fn layers(
    registry: &Registry,
    reader: &Reader,
    name: &RepositoryName,
    image: &ImageDescription,
) -> Result<(Vec<Layer>, Strip), Error> {
    let layers = &image.manifest.layers[..image.manifest.layers.len().min(LINES)];
    let spread = match reader.viewer.sees_everything() {
        true => {
            let digests = layers.iter().map(|layer| layer.digest.clone()).collect();
            registry.reports().layer_spread(name, digests).await?
        }
        false => HashMap::new(),
    };
    let size = |layer: &Descriptor| u64::try_from(layer.size).unwrap_or_default();
    let largest = layers.iter().map(size).max().unwrap_or_default();
    let of = |layer: &Descriptor, instruction: String, rest: String| Layer {
        instruction,
        rest,
        size: Some(size(layer)),
        digest: Some(layer.digest.clone()),
        largest,
        spread: spread.get(&layer.digest).copied(),
    };
    let steps = image
        .config
        .as_ref()
        .map_or(&[][..], |config| &config.history);
    let made = steps.iter().filter(|step| !step.is_empty_layer).count();
    let found: Vec<Layer> = if made == layers.len() && !steps.is_empty() {
        let mut layers = layers.iter();
        let lines = steps.iter().take(LINES).map(|step| {
            let (instruction, rest) = instruction(step);
            let layer = (!step.is_empty_layer).then(|| layers.next()).flatten();
            match layer {
                Some(layer) => of(layer, instruction, rest),
                None => Layer {
                    instruction,
                    rest,
                    size: None,
                    digest: None,
                    largest,
                    spread: None,
                },
            }
        });
        lines.collect()
    } else {
        let plain = |layer: &Descriptor| of(layer, short(&layer.digest).to_owned(), title(layer));
        layers.iter().map(plain).collect()
    };
    let parts = found
        .iter()
        .filter_map(|line| Some((line.size?, line.share())));
    let parts: Vec<_> = parts.collect();
    let whole = parts.iter().map(|part| part.0).sum();
    Ok((found, Strip { parts, whole }))
}

/// Name of a layer that no instruction made: the file that it holds, or its kind.
fn title(layer: &Descriptor) -> String {
    let title = layer.annotations.as_ref();
    let title = title.and_then(|all| all.get("org.opencontainers.image.title"));
    title.unwrap_or(&layer.media_type).clone()
}

/// Splits a step as builders record it into the instruction and what follows.
fn instruction(step: &BuildStep) -> (String, String) {
    let text = step.created_by.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim_end();
    let text = match text.split_once("/bin/sh -c #(nop)") {
        Some((_, rest)) => rest.trim_start(),
        None => text,
    };
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let is_instruction = !first.is_empty() && first.chars().all(|c| c.is_ascii_uppercase());
    match is_instruction {
        true => {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("/bin/sh -c ").unwrap_or(rest);
            (first.to_owned(), rest.to_owned())
        }
        false => {
            let rest = text.strip_prefix("/bin/sh -c ").unwrap_or(text);
            ("RUN".to_owned(), rest.to_owned())
        }
    }
}

#[cfg(test)]
impl Layer {
    pub fn of_test(digest: &str, rest: &str) -> Self {
        Self {
            instruction: "RUN".to_owned(),
            rest: rest.to_owned(),
            size: Some(1),
            digest: Some(digest.to_owned()),
            largest: 1,
            spread: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_read_as_a_dockerfile() {
        for (recorded, first, rest) in [
            ("/bin/sh -c #(nop) ADD file:ab in / ", "ADD", "file:ab in /"),
            ("/bin/sh -c #(nop)  CMD [\"sh\"]", "CMD", "[\"sh\"]"),
            ("/bin/sh -c apt-get update", "RUN", "apt-get update"),
            ("RUN /bin/sh -c make # buildkit", "RUN", "make"),
            ("COPY a /b # buildkit", "COPY", "a /b"),
            ("|1 V=2 /bin/sh -c make", "RUN", "|1 V=2 /bin/sh -c make"),
            ("", "RUN", ""),
        ] {
            let step = BuildStep {
                created_by: recorded.to_owned(),
                is_empty_layer: false,
            };
            assert_eq!(instruction(&step), (first.to_owned(), rest.to_owned()));
        }
    }
}
