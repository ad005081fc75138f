//! A crate's modules, and where the paths in them lead.

use std::collections::BTreeMap;

use syn::Item;

use super::source::Files;
use super::syntax::{Mentions, Path, attributes, is_test};

/// Imports that lead to imports that lead on; real ones need two or three.
const LONGEST_CHAIN: usize = 16;

/// A crate's modules by absolute path, unit tests left out.
pub struct Program {
    name: String,
    pub modules: BTreeMap<Path, Module>,
}

pub struct Module {
    pub file: String,
    pub mentions: Mentions,
}

impl Program {
    /// Reads the module tree below a crate's root file. `name` begins all of its absolute paths.
    pub fn load(name: &str, root: &str, files: &Files) -> Self {
        let mut program = Self {
            name: name.to_owned(),
            modules: BTreeMap::new(),
        };
        let (folder, _) = root.rsplit_once('/').expect("a folder");
        program.read_file(vec![name.to_owned()], root, folder, files);
        program
    }

    fn read_file(&mut self, path: Path, file: &str, folder: &str, files: &Files) {
        let text = &files[file];
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.read_module(path, file, folder, &syntax.items, files);
    }

    /// Reads a module's items; its submodules' files are in `folder`.
    fn read_module(&mut self, path: Path, file: &str, folder: &str, items: &[Item], files: &Files) {
        let mut mentions = Mentions::default();
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            let Item::Mod(module) = item else {
                mentions.read(item);
                continue;
            };
            let name = module.ident.to_string();
            let mut inner = path.clone();
            inner.push(name.clone());
            let inner_folder = format!("{folder}/{name}");
            match &module.content {
                Some((_, items)) => self.read_module(inner, file, &inner_folder, items, files),
                None => {
                    let candidates = [
                        format!("{inner_folder}.rs"),
                        format!("{inner_folder}/mod.rs"),
                    ];
                    // `#[path]` leads to files that another crate shows too
                    if let Some(found) = candidates.iter().find(|file| files.contains_key(*file)) {
                        self.read_file(inner, found, &inner_folder, files);
                    }
                }
            }
        }
        let file = file.to_owned();
        self.modules.insert(path, Module { file, mentions });
    }

    /// Returns what a path means in a module, from the crate's root or another crate's name on;
    /// `None` for names of the prelude and of local things.
    pub fn resolve(&self, module: &Path, path: &[String]) -> Option<Path> {
        self.resolve_within(module, path, LONGEST_CHAIN)
    }

    fn resolve_within(&self, module: &Path, path: &[String], steps: usize) -> Option<Path> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let from = |start: &[String]| Some([start, rest].concat());
        match &**first {
            "" => return Some(rest.to_vec()),
            "crate" => return from(std::slice::from_ref(&self.name)),
            "self" => return from(module),
            "super" => {
                let (_, parent) = module.split_last()?;
                let is_absolute = rest.first().is_some_and(|next| next == "super");
                return match is_absolute {
                    true => self.resolve_within(&parent.to_vec(), rest, steps),
                    false => from(parent),
                };
            }
            _ => {}
        }
        let mentions = &self.modules.get(module)?.mentions;
        if let Some(import) = mentions.imports.get(first)
            && import.first() != Some(first)
        {
            return from(&self.resolve_within(module, import, steps)?);
        }
        let own = [&module[..], std::slice::from_ref(first)].concat();
        if mentions.items.contains(first) || self.modules.contains_key(&own) {
            return from(&own);
        }
        for glob in &mentions.globs {
            let target = self.resolve_within(module, glob, steps);
            if let Some(target) = target.filter(|target| self.has(target, first)) {
                return from(&[&target[..], std::slice::from_ref(first)].concat());
            }
        }
        let is_crate = first.starts_with(|letter: char| letter.is_ascii_lowercase());
        let is_imported = || mentions.imports.values().any(|import| import[..] == *path);
        (is_crate && (!rest.is_empty() || is_imported())).then(|| path.to_vec())
    }

    fn has(&self, module: &Path, name: &String) -> bool {
        let is_item = self.modules.get(module).is_some_and(|module| {
            module.mentions.items.contains(name) || module.mentions.imports.contains_key(name)
        });
        is_item
            || self
                .modules
                .contains_key(&[&module[..], std::slice::from_ref(name)].concat())
    }

    /// Returns the file that defines what an absolute path names, through all re-exports.
    pub fn definition(&self, path: &[String]) -> Option<&str> {
        self.definition_within(path, LONGEST_CHAIN)
    }

    fn definition_within(&self, path: &[String], steps: usize) -> Option<&str> {
        let steps = steps.checked_sub(1)?;
        let depth = (1..=path.len())
            .rev()
            .find(|depth| self.modules.contains_key(&path[..*depth]))?;
        let (module, rest) = path.split_at(depth);
        let name = rest.first()?;
        let Module { file, mentions } = &self.modules[module];
        if mentions.items.contains(name) {
            return Some(file);
        }
        let module = module.to_vec();
        if let Some(import) = mentions.imports.get(name) {
            let target = self.resolve(&module, import)?;
            return self.definition_within(&[&target[..], &rest[1..]].concat(), steps);
        }
        mentions.globs.iter().find_map(|glob| {
            let target = self.resolve(&module, glob)?;
            self.definition_within(&[&target[..], rest].concat(), steps)
        })
    }
}
