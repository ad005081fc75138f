//! Layers of two images, side by side: same, changed, added, removed.

use crate::ui::layers::Layer;

/// Relation of a line in both images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Same,
    Changed,
    Added,
    Removed,
}

impl Sign {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Same => "=",
            Self::Changed => "≠",
            Self::Added => "+",
            Self::Removed => "−",
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// A layer in one image or both.
pub struct Line {
    pub sign: Sign,
    pub instruction: String,
    pub rest: String,
    pub from: Option<u64>,
    pub to: Option<u64>,
}

/// Aligns layers, in the order of both: those of one digest are the same, and those of the same words between them have changed.
pub fn aligned(from: &[Layer], to: &[Layer]) -> Vec<Line> {
    let mut lines = Vec::with_capacity(from.len().max(to.len()));
    let is_same = |one: &Layer, other: &Layer| one.digest == other.digest;
    let is_step = |one: &Layer, other: &Layer| {
        (&one.instruction, &one.rest) == (&other.instruction, &other.rest)
    };
    let (mut first, mut second) = (from, to);
    for (one, other) in common(from, to, is_same) {
        let gap = (taken(&mut first, one, from), taken(&mut second, other, to));
        lines.extend(between(gap.0, gap.1, is_step));
        lines.push(line(Sign::Same, Some(&from[one]), Some(&to[other])));
    }
    lines.extend(between(first, second, is_step));
    lines
}

/// Takes what comes before a layer, and the layer, off the rest of an image; returns what came before.
fn taken<'l>(rest: &mut &'l [Layer], at: usize, all: &'l [Layer]) -> &'l [Layer] {
    let begin = all.len() - rest.len();
    *rest = &all[at + 1..];
    &all[begin..at]
}

/// Aligns layers none of which is the same.
fn between(from: &[Layer], to: &[Layer], is_step: impl Fn(&Layer, &Layer) -> bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mut first, mut second) = (from, to);
    let replaced = |gap: (&[Layer], &[Layer]), lines: &mut Vec<Line>| {
        let removed = gap.0.iter().map(|one| line(Sign::Removed, Some(one), None));
        lines.extend(removed);
        lines.extend(
            gap.1
                .iter()
                .map(|other| line(Sign::Added, None, Some(other))),
        );
    };
    for (one, other) in common(from, to, is_step) {
        let gap = (taken(&mut first, one, from), taken(&mut second, other, to));
        replaced(gap, &mut lines);
        lines.push(line(Sign::Changed, Some(&from[one]), Some(&to[other])));
    }
    replaced((first, second), &mut lines);
    lines
}

fn line(sign: Sign, from: Option<&Layer>, to: Option<&Layer>) -> Line {
    let shown = to.or(from);
    Line {
        sign,
        instruction: shown.map_or_else(String::new, |layer| layer.instruction.clone()),
        rest: shown.map_or_else(String::new, |layer| layer.rest.clone()),
        from: from.and_then(|layer| layer.size),
        to: to.and_then(|layer| layer.size),
    }
}

/// Returns the longest common subsequence of two lists, as pairs of positions. Both are short.
fn common<T>(from: &[T], to: &[T], is_same: impl Fn(&T, &T) -> bool) -> Vec<(usize, usize)> {
    let width = to.len() + 1;
    // longest[i * width + j] is that of what follows both positions
    let mut longest = vec![0_u16; (from.len() + 1) * width];
    for i in (0..from.len()).rev() {
        for j in (0..to.len()).rev() {
            longest[i * width + j] = match is_same(&from[i], &to[j]) {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let (mut pairs, mut i, mut j) = (Vec::new(), 0, 0);
    while i < from.len() && j < to.len() {
        if is_same(&from[i], &to[j]) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(from: &[(&str, &str)], to: &[(&str, &str)]) -> String {
        let layers = |all: &[(&str, &str)]| -> Vec<Layer> {
            let layer = |(digest, rest): &(&str, &str)| Layer::of_test(digest, rest);
            all.iter().map(layer).collect()
        };
        let lines = aligned(&layers(from), &layers(to));
        lines.iter().map(|line| line.sign.symbol()).collect()
    }

    #[test]
    fn layers_are_aligned() {
        let base = [("a", "base"), ("b", "run"), ("c", "copy")];
        assert_eq!(signs(&base, &base), "===");
        let changed = [("a", "base"), ("x", "run"), ("c", "copy")];
        assert_eq!(signs(&base, &changed), "=≠=");
        assert_eq!(signs(&base, &base[..2]), "==−");
        assert_eq!(signs(&base[..2], &base), "==+");
        assert_eq!(signs(&base[..1], &[("z", "other")]), "−+");
        let in_front = [("x", "new"), ("a", "base"), ("b", "run"), ("c", "copy")];
        assert_eq!(signs(&base, &in_front), "+===");
        let swapped = [("b", "run"), ("a", "base"), ("c", "copy")];
        assert_eq!(signs(&base, &swapped), "−=+=");
        assert_eq!(signs(&[], &[]), "");
    }
}
