//! Imports, paths and string literals of a module, without its unit tests.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, Meta, TraitItem, UseTree};

/// A path as it is written, split at `::`; absolute ones begin with an empty segment.
pub type Path = Vec<String>;

/// A path, and the line it stands on.
pub struct Mention {
    pub path: Path,
    pub line: usize,
}

/// Everything that a module's own items mention.
#[derive(Default)]
pub struct Mentions {
    pub paths: Vec<Mention>,
    /// Imported paths by the name they are imported as.
    pub imports: BTreeMap<String, Path>,
    /// Paths of `use path::*`.
    pub globs: Vec<Path>,
    /// Names of the items defined here.
    pub items: BTreeSet<String>,
    /// String literals with their lines.
    pub strings: Vec<(String, usize)>,
    /// String literals given to a method `join`, with their lines.
    pub joined: Vec<(String, usize)>,
}

impl Mentions {
    /// Reads an item that is neither a module nor a test.
    pub fn read(&mut self, item: &Item) {
        self.items.extend(name(item));
        self.visit_item(item);
    }

    fn import(&mut self, prefix: &Path, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                let prefix = join(prefix, path.ident.to_string());
                self.import(&prefix, &path.tree);
            }
            UseTree::Name(leaf) => self.import_as(prefix, &leaf.ident, &leaf.ident),
            UseTree::Rename(leaf) => self.import_as(prefix, &leaf.ident, &leaf.rename),
            UseTree::Glob(glob) => {
                self.globs.push(prefix.clone());
                self.mention(prefix.clone(), glob.star_token.spans[0]);
            }
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.import(prefix, tree)),
        }
    }

    fn import_as(&mut self, prefix: &Path, leaf: &syn::Ident, alias: &syn::Ident) {
        let (path, alias) = match (leaf == "self", leaf == alias) {
            (true, true) => (prefix.clone(), prefix.last().cloned().unwrap_or_default()),
            (true, false) => (prefix.clone(), alias.to_string()),
            (false, _) => (join(prefix, leaf.to_string()), alias.to_string()),
        };
        self.mention(path.clone(), leaf.span());
        self.imports.insert(alias, path);
    }

    fn mention(&mut self, path: Path, span: Span) {
        let line = span.start().line;
        self.paths.push(Mention { path, line });
    }

    /// Finds paths and strings in tokens that are no syntax: macro bodies and attributes.
    fn scan(&mut self, tokens: &[TokenTree], prefix: &Path) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Ident(ident) if !is_member(tokens, at - 1) => {
                    let mut path = join(prefix, ident.to_string());
                    while let Some(TokenTree::Ident(next)) = after_colons(tokens, at) {
                        path.push(next.to_string());
                        at += 3;
                    }
                    if let Some(TokenTree::Group(group)) = after_colons(tokens, at)
                        && group.delimiter() == Delimiter::Brace
                    {
                        self.scan(&trees(group.stream()), &path);
                        at += 3;
                    }
                    self.mention(path, ident.span());
                }
                TokenTree::Group(group) => self.scan(&trees(group.stream()), &Path::new()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        let line = literal.span().start().line;
                        self.strings.push((text.value(), line));
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Mentions {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Fn(item) => &item.attrs[..],
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !matches!(item, TraitItem::Fn(item) if is_test(&item.attrs)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let prefix = match item.leading_colon {
            Some(_) => vec![String::new()],
            None => Path::new(),
        };
        self.import(&prefix, &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        let root = path.leading_colon.map(|_| String::new());
        if let Some(first) = path.segments.first() {
            self.mention(root.into_iter().chain(names).collect(), first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(&trees(call.tokens.clone()), &Path::new());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        self.visit_path(attribute.path());
        if let Meta::List(list) = &attribute.meta {
            self.scan(&trees(list.tokens.clone()), &Path::new());
        }
    }

    // `pub(in crate::http)` depends on nothing
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        let line = text.span().start().line;
        self.strings.push((text.value(), line));
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Some(syn::Expr::Lit(literal)) = call.args.first()
            && let syn::Lit::Str(text) = &literal.lit
            && call.method == "join"
        {
            let line = text.span().start().line;
            self.joined.push((text.value(), line));
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// Returns true if an item exists only in test builds.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => requires_test(&trees(list.tokens.clone())),
        _ => false,
    })
}

/// Reads `test` and `all(…, test, …)`.
fn requires_test(predicate: &[TokenTree]) -> bool {
    match predicate {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(group)] if word == "all" => trees(group.stream())
            .split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','))
            .any(requires_test),
        _ => false,
    }
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the name that an item defines in its module.
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

/// Returns true for `name` in `value.name`, but not in `..name`.
fn is_member(tokens: &[TokenTree], at: usize) -> bool {
    let is_dot = |back: usize| {
        let token = at.checked_sub(back).and_then(|at| tokens.get(at));
        matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == '.')
    };
    is_dot(1) && !is_dot(2)
}

/// Returns the token after `::`, if that is what comes next.
fn after_colons(tokens: &[TokenTree], at: usize) -> Option<&TokenTree> {
    let is_colon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    match tokens.get(at..)? {
        [first, second, next, ..] if is_colon(first) && is_colon(second) => Some(next),
        _ => None,
    }
}

fn join(prefix: &Path, name: String) -> Path {
    let mut path = prefix.clone();
    path.push(name);
    path
}
