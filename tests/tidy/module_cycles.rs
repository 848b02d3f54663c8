//! Modules of a crate must not import each other in a circle.
//!
//! Reads `use` declarations and inline paths of product code and resolves them to files; a `pub use` in between is
//! followed to the module that defines the name. The crate root is exempt: it holds the crate's main trait and selects an
//! implementation. The compiler enforces the dependencies between crates.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sources::{code_lines, is_source, leading_identifier, source_root, text_files};

/// Names of a path, such as `["crate", "domain", "Message"]`.
type NamePath = Vec<String>;

/// A module by its path inside the crate; the root is empty.
type Module = Vec<String>;

/// The modules of one crate with their code.
struct CrateModules {
    code: BTreeMap<Module, String>,
    /// Names that a module re-exports, and the path that each stands for.
    reexports: BTreeMap<(Module, String), NamePath>,
}

impl CrateModules {
    /// Reads `(path inside src, code)` pairs.
    fn new(files: &[(String, String)]) -> Self {
        let code: BTreeMap<Module, String> =
            files.iter().map(|(path, code)| (module_of(path), code.clone())).collect();
        let mut modules = Self { code, reexports: BTreeMap::new() };
        for (module, code) in &modules.code {
            for (is_public, declaration) in use_declarations(code) {
                for (path, name) in expand(&declaration) {
                    if is_public {
                        modules.reexports.insert((module.clone(), name), path);
                    }
                }
            }
        }
        modules
    }

    /// Returns the module that defines the last name of a path used in `from`; none for paths outside the crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (mut module, names) = self.anchor(from, path)?;
        let mut names = names.iter();
        for name in names.by_ref() {
            let child: Module = module.iter().chain([name]).cloned().collect();
            if self.code.contains_key(&child) {
                module = child;
                continue;
            }
            let target = self.reexports.get(&(module.clone(), name.clone()));
            let Some(target) = target.filter(|_| depth < 8) else {
                return Some(module);
            };
            let rest = names.cloned();
            let full: NamePath = target.iter().cloned().chain(rest).collect();
            return self.resolve(&module, &full, depth + 1);
        }
        Some(module)
    }

    /// Returns the module at which a path starts and the remaining names.
    fn anchor<'p>(&self, from: &Module, path: &'p [String]) -> Option<(Module, &'p [String])> {
        match path.first()?.as_str() {
            "crate" => Some((Module::new(), &path[1..])),
            "self" => Some((from.clone(), &path[1..])),
            "super" => {
                let levels = path.iter().take_while(|name| *name == "super").count();
                Some((from[..from.len().saturating_sub(levels)].to_vec(), &path[levels..]))
            }
            child => {
                let module: Module = from.iter().cloned().chain([child.to_owned()]).collect();
                self.code.contains_key(&module).then(|| (from.clone(), path))
            }
        }
    }

    /// Returns the modules that each module uses. A re-export alone is no use.
    fn uses(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        self.code
            .iter()
            .map(|(module, code)| {
                let declarations = use_declarations(code);
                // A path inside the braces of a declaration is not relative to this module.
                let expressions = declarations
                    .iter()
                    .fold(code.clone(), |code, (_, declaration)| code.replace(declaration.as_str(), ""));
                let mut paths = inline_paths(&expressions);
                for (is_public, declaration) in declarations {
                    if !is_public {
                        paths.extend(expand(&declaration).into_iter().map(|(path, _)| path));
                    }
                }
                let used = paths.iter().filter_map(|path| self.resolve(module, path, 0));
                (module, used.filter(|used| used != module).collect())
            })
            .collect()
    }

    /// Returns the shortest cycle through each module that is in one, without duplicates.
    fn cycles(&self) -> BTreeSet<String> {
        let uses = self.uses();
        let modules = uses.keys().filter(|module| !module.is_empty());
        let cycles = modules.filter_map(|module| shortest_cycle(&uses, module));
        cycles.map(|cycle| describe(&cycle)).collect()
    }
}

/// Returns the shortest path from a module back to itself, without its end.
fn shortest_cycle<'m>(
    uses: &'m BTreeMap<&'m Module, BTreeSet<Module>>,
    start: &'m Module,
) -> Option<Vec<&'m Module>> {
    let mut seen = BTreeSet::new();
    let mut paths = VecDeque::from([vec![start]]);
    while let Some(path) = paths.pop_front() {
        for next in &uses[path.last()?] {
            if next == start {
                return Some(path);
            }
            if !next.is_empty() && seen.insert(next) {
                paths.push_back(path.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

/// Formats a cycle, beginning with the alphabetically first module.
fn describe(cycle: &[&Module]) -> String {
    let first = (0..cycle.len()).min_by_key(|index| cycle[*index]).unwrap_or_default();
    let names: Vec<String> =
        (0..=cycle.len()).map(|step| cycle[(first + step) % cycle.len()].join("::")).collect();
    names.join(" → ")
}

/// Returns the module of a file, given its path inside `src`.
fn module_of(path: &str) -> Module {
    let stem = path.trim_end_matches(".rs");
    let names = stem.split('/').filter(|name| !matches!(*name, "lib" | "main"));
    names.map(str::to_owned).collect()
}

/// Returns every `use` declaration without `use` and `;`, and whether it is public.
fn use_declarations(code: &str) -> Vec<(bool, String)> {
    let mut declarations = Vec::new();
    let mut rest = code;
    while let Some(start) = find_use(rest) {
        let line_start = rest[..start].rfind('\n').map_or(0, |at| at + 1);
        let is_public = rest[line_start..start].trim_start().starts_with("pub");
        let after = &rest[start + "use ".len()..];
        let end = after.find(';').unwrap_or(after.len());
        declarations.push((is_public, after[..end].to_owned()));
        rest = &after[end..];
    }
    declarations
}

/// Returns the position of the next `use ` that begins a declaration.
fn find_use(code: &str) -> Option<usize> {
    code.match_indices("use ").map(|(at, _)| at).find(|at| {
        let before = code[..*at].rsplit('\n').next().unwrap_or_default().trim_start();
        before.is_empty() || (before.starts_with("pub") && before.ends_with([' ', ')']))
    })
}

/// Expands `a::{b, c::{self, d as e}}` to paths and the names that they introduce.
fn expand(declaration: &str) -> Vec<(NamePath, String)> {
    let mut expanded = Vec::new();
    expand_into(&[], declaration, &mut expanded);
    expanded
}

fn expand_into(prefix: &[String], tree: &str, expanded: &mut Vec<(NamePath, String)>) {
    for branch in split_branches(tree) {
        let branch = branch.trim();
        let (path, group) = match branch.split_once('{') {
            Some((path, group)) => (path, group.strip_suffix('}')),
            None => (branch, None),
        };
        let (path, alias) = match path.split_once(" as ") {
            Some((path, alias)) => (path, Some(alias.trim().to_owned())),
            None => (path, None),
        };
        let names = path.split("::").map(str::trim).filter(|name| !name.is_empty() && *name != "self");
        let mut full = prefix.to_vec();
        // A leading `self` anchors the path; a trailing one names the module itself.
        if prefix.is_empty() && path.trim_start().starts_with("self") {
            full.push("self".to_owned());
        }
        full.extend(names.map(str::to_owned));
        match group {
            Some(group) => expand_into(&full, group, expanded),
            None if full.is_empty() => {}
            None => {
                let name = alias.unwrap_or_else(|| full.last().cloned().unwrap_or_default());
                expanded.push((full, name));
            }
        }
    }
}

/// Splits at commas outside braces.
fn split_branches(tree: &str) -> Vec<&str> {
    let (mut depth, mut start, mut branches) = (0, 0, Vec::new());
    for (at, character) in tree.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&tree[start..]);
    branches
}

/// Returns the paths in expressions and types: `crate::a::b`, `super::c`, and `child::d`.
fn inline_paths(code: &str) -> Vec<NamePath> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(found) = code[at..].find("::") {
        let separator = at + found;
        let start = code[..separator]
            .rfind(|character: char| !character.is_alphanumeric() && character != '_')
            .map_or(0, |before| before + 1);
        let path: String = code[start..]
            .chars()
            .take_while(|character| character.is_alphanumeric() || "_:".contains(*character))
            .collect();
        let names = path.split("::").map(leading_identifier);
        let names: NamePath = names.take_while(|name| !name.is_empty()).collect();
        at = (start + path.len()).max(separator + 2);
        let is_whole = !code[..start].ends_with("::");
        if is_whole && names.len() > 1 {
            paths.push(names);
        }
    }
    paths
}

/// Returns all cycles of the crate with that `src` folder.
fn cycles_in(root: &str) -> BTreeSet<String> {
    let files: Vec<(String, String)> = text_files(|path| is_source(path) && source_root(path) == Some(root))
        .into_iter()
        // The binary uses the library of its package, never the other way round.
        .filter(|(path, _)| path != "src/main.rs")
        .map(|(path, text)| {
            let code: Vec<&str> = code_lines(&path, &text).into_iter().map(|(_, line)| line).collect();
            (path[root.len() + 1..].to_owned(), code.join("\n"))
        })
        .filter(|(_, code)| !code.is_empty())
        .collect();
    CrateModules::new(&files).cycles()
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    let sources = text_files(is_source);
    let roots: BTreeSet<&str> = sources.iter().filter_map(|(path, _)| source_root(path)).collect();
    assert!(roots.len() > 8, "{roots:?}");
    let cycles: Vec<String> = roots
        .into_iter()
        .flat_map(|root| cycles_in(root).into_iter().map(move |cycle| format!("{root}: {cycle}")))
        .collect();
    assert!(cycles.is_empty(), "\n{}", cycles.join("\n"));
}

fn cycles_of(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<(String, String)> =
        files.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())).collect();
    CrateModules::new(&files).cycles().into_iter().collect()
}

#[test]
fn a_circle_is_found_in_every_form_of_import() {
    for (a, b) in [
        ("use crate::b::B;", "use super::a::A;"),
        ("use super::b::{self, B};", "fn f() { crate::a::g() }"),
        ("use crate::{b::{B, C}, c::D};", "pub struct E(pub super::a::A);"),
    ] {
        let files = [("lib.rs", ""), ("a.rs", a), ("b.rs", b), ("c.rs", "")];
        assert_eq!(cycles_of(&files), ["a → b → a"], "{a} {b}");
    }
    let parent_and_child = [("a.rs", "mod b;\nuse b::B;\npub struct A;"), ("a/b.rs", "use super::A;")];
    assert_eq!(cycles_of(&parent_and_child), ["a → a::b → a"]);
    let through_a_reexport =
        [("lib.rs", "pub use a::A;"), ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::A;")];
    assert_eq!(cycles_of(&through_a_reexport), ["a → b → a"]);
}

#[test]
fn a_reexport_for_callers_is_not_a_circle() {
    let files = [
        ("a.rs", "mod b;\nmod c;\npub use b::{B, D as E};\nfn f() { c::g() }"),
        ("a/b.rs", "use super::c::C;"),
        ("a/c.rs", "use std::fmt::Write;\npub struct C;"),
    ];
    assert_eq!(cycles_of(&files), Vec::<String>::new());
}

#[test]
fn a_name_inside_the_braces_of_another_crate_is_no_child_module() {
    let files =
        [("a.rs", "pub mod b;\nuse core::{b::bucket, other::{b::C, D}};"), ("a/b.rs", "use super::{E, F};")];
    assert_eq!(cycles_of(&files), Vec::<String>::new());
}
