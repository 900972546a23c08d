//! The modules of a crate, and which file uses names that another one defines.
//!
//! A path counts where it stands in a `use` or in code (`super::order::standard(…)`). Methods and
//! fields have no path, so a use of them alone isn't seen.

use crate::tokens::{Token, attribute, behind, tokens, without_tests};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

/// The files of a source tree: what stands in each, by its path.
pub type Files = BTreeMap<String, String>;

/// The Rust files below a folder, by their paths from `root` on.
pub fn read(root: &Path, folder: &str) -> Files {
    read_all(root, folder, "rs")
}

/// The same of files whose names end so.
pub fn read_all(root: &Path, folder: &str, ending: &str) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// What a file uses of others: by file, the names.
pub type Uses = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A crate's modules.
pub struct Crate {
    modules: Vec<Module>,
}

#[derive(Default)]
struct Module {
    file: String,
    /// Its place among the modules; the root is its own parent.
    parent: usize,
    children: HashMap<String, usize>,
    public_children: Vec<String>,
    definitions: HashSet<String>,
    imports: Vec<Import>,
    /// Paths of two and more parts in its code.
    paths: Vec<Vec<String>>,
    /// Every word in its code, `use` declarations apart.
    words: HashSet<String>,
}

#[derive(Clone)]
struct Import {
    /// The name that it gives to what it imports; `None` of a glob.
    name: Option<String>,
    path: Vec<String>,
    /// Whether it is a re-export.
    is_public: bool,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Found {
    Module(usize),
    /// An item of this module.
    Item(usize),
}

impl Crate {
    /// The modules of the crate with this root file, such as `src/lib.rs`.
    pub fn new(files: &Files, root: &str) -> Crate {
        let mut modules = Crate { modules: Vec::new() };
        modules.add_file(files, root, None);
        modules
    }

    fn add_file(&mut self, files: &Files, file: &str, parent: Option<usize>) -> usize {
        let source = files.get(file).unwrap_or_else(|| panic!("there is no file {file}"));
        let tokens = without_tests(&tokens(source));
        let module = self.add(file, parent);
        let (folder, name) = file.split_at(file.rfind('/').map_or(0, |slash| slash + 1));
        let folder = match name {
            "mod.rs" | "lib.rs" | "main.rs" => folder.to_string(),
            name => format!("{folder}{}/", name.trim_end_matches(".rs")),
        };
        self.read_items(files, &tokens, module, &folder);
        module
    }

    fn add(&mut self, file: &str, parent: Option<usize>) -> usize {
        let module = self.modules.len();
        let parent = parent.unwrap_or(module);
        self.modules.push(Module { file: file.to_string(), parent, ..Module::default() });
        module
    }

    /// Reads a module's tokens; `folder` is where the files of its children stand.
    fn read_items(&mut self, files: &Files, tokens: &[Token], module: usize, folder: &str) {
        let (mut at, mut depth, mut is_public) = (0, 0, false);
        while at < tokens.len() {
            if let Some(end) = attribute(tokens, at) {
                at = end;
                continue;
            }
            match &tokens[at] {
                Token::Sign('{' | '(' | '[') => depth += 1,
                Token::Sign('}' | ')' | ']') => depth -= 1,
                Token::Word(word) => match &word[..] {
                    "pub" => {
                        is_public = true;
                        at += 1;
                        if tokens.get(at).is_some_and(|token| token.is('(')) {
                            at = behind(tokens, at);
                        }
                        continue;
                    }
                    "use" if !tokens[at + 1].is('<') => {
                        let end = find(tokens, at, ';');
                        self.modules[module].add_imports(&tokens[at + 1..end], is_public);
                        at = end;
                    }
                    "mod" => {
                        let name = tokens[at + 1].word().to_string();
                        self.modules[module].public_children.extend(is_public.then_some(name));
                        at = self.read_module(files, tokens, at, module, folder);
                    }
                    _ => {
                        let own = &mut self.modules[module];
                        if depth == 0 {
                            own.definitions.extend(definition(&tokens[at..]));
                        }
                        at = own.read_word(tokens, at);
                    }
                },
                _ => {}
            }
            is_public = false;
            at += 1;
        }
    }

    /// Reads `mod name;` or `mod name { … }`, and returns the place of its last token.
    fn read_module(
        &mut self,
        files: &Files,
        tokens: &[Token],
        at: usize,
        parent: usize,
        folder: &str,
    ) -> usize {
        let name = tokens[at + 1].word().to_string();
        let below = format!("{folder}{name}");
        let (child, end) = if tokens[at + 2].is('{') {
            let end = behind(tokens, at + 2);
            let file = self.modules[parent].file.clone();
            let child = self.add(&file, Some(parent));
            self.read_items(files, &tokens[at + 3..end - 1], child, &format!("{below}/"));
            (child, end - 1)
        } else {
            let file = [format!("{below}.rs"), format!("{below}/mod.rs")];
            let file = file.into_iter().find(|file| files.contains_key(file));
            let file = file.unwrap_or_else(|| panic!("there is no file of module {below}"));
            (self.add_file(files, &file, Some(parent)), at + 2)
        };
        self.modules[parent].children.insert(name, child);
        end
    }

    /// What a path means in a module, and how many of its parts lead there (those behind an item
    /// are its own); `None` where it leads out of the crate. `seen`: what is being looked up.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        seen: &mut Vec<(usize, String)>,
    ) -> Option<(Found, usize)> {
        let (first, mut rest) = path.split_first()?;
        let mut found = match &first[..] {
            "crate" => Found::Module(0),
            "self" => Found::Module(module),
            "super" => Found::Module(self.modules[module].parent),
            name => self.look_up(module, name, seen)?,
        };
        while let (Found::Module(module), Some((name, behind))) = (found, rest.split_first()) {
            found = match &name[..] {
                "self" => found,
                "super" => Found::Module(self.modules[module].parent),
                // What a macro of the module defines isn't known by name.
                name => self.look_up(module, name, seen).unwrap_or(Found::Item(module)),
            };
            rest = behind;
        }
        Some((found, path.len() - rest.len()))
    }

    /// What a name means in a module.
    fn look_up(&self, module: usize, name: &str, seen: &mut Vec<(usize, String)>) -> Option<Found> {
        let key = (module, name.to_string());
        if seen.contains(&key) {
            return None;
        }
        seen.push(key);
        let own = &self.modules[module];
        if let Some(&child) = own.children.get(name) {
            return Some(Found::Module(child));
        }
        if own.definitions.contains(name) {
            return Some(Found::Item(module));
        }
        let named = own.imports.iter().find(|import| import.name.as_deref() == Some(name));
        if let Some(import) = named {
            return self.resolve(module, &import.path, seen).map(|(found, _)| found);
        }
        for glob in own.imports.iter().filter(|import| import.name.is_none()) {
            if let Some((Found::Module(of), _)) = self.resolve(module, &glob.path, seen)
                && let Some(found) = self.look_up(of, name, seen)
            {
                return Some(found);
            }
        }
        None
    }

    /// What each file uses of others. A path that ends at a module is no use of its file: what is
    /// used of the module tells.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (index, module) in self.modules.iter().enumerate() {
            for path in self.used_paths(index) {
                let found = self.resolve(index, &path, &mut Vec::new());
                let Some((Found::Item(of), parts)) = found else { continue };
                let file = &self.modules[of].file;
                if *file != module.file {
                    let used = uses.entry(module.file.clone()).or_default();
                    used.entry(file.clone()).or_default().insert(path[parts - 1].clone());
                }
            }
        }
        uses
    }

    /// The paths of what a module uses. A re-export is no use, unless the module's own code has the
    /// name; a glob is a use of every name that it can stand for.
    fn used_paths(&self, index: usize) -> Vec<Vec<String>> {
        let module = &self.modules[index];
        let mut paths = module.paths.clone();
        for Import { name, path, is_public } in &module.imports {
            match name {
                Some(name) if !is_public || module.words.contains(name) => paths.push(path.clone()),
                None if !is_public => {
                    let names = self.names_of(index, path);
                    paths
                        .extend(names.map(|name| [&path[..], std::slice::from_ref(name)].concat()));
                    paths.push(path.clone());
                }
                _ => {}
            }
        }
        paths
    }

    /// The names that a glob of the module at this path stands for.
    fn names_of(&self, index: usize, path: &[String]) -> impl Iterator<Item = &String> {
        let module = match self.resolve(index, path, &mut Vec::new()) {
            Some((Found::Module(module), _)) => Some(&self.modules[module]),
            _ => None,
        };
        module.into_iter().flat_map(|module| {
            let exports = module.imports.iter().filter(|import| import.is_public);
            module.definitions.iter().chain(exports.filter_map(|import| import.name.as_ref()))
        })
    }

    /// Every path in each file, imported or in its code.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.modules.iter().flat_map(|module| {
            let imported = module.imports.iter().map(|import| &import.path);
            imported.chain(&module.paths).map(|path| (&module.file[..], &path[..]))
        })
    }

    /// The names that the root file re-exports, and its public modules.
    pub fn exports(&self) -> BTreeSet<&str> {
        let root = &self.modules[0];
        let imports = root.imports.iter().filter(|import| import.is_public);
        let names = imports.filter_map(|import| import.name.as_deref());
        names.chain(root.public_children.iter().map(String::as_str)).collect()
    }
}

impl Module {
    /// Takes a word of its code, with the path that begins there, and returns the place of its last
    /// token.
    fn read_word(&mut self, tokens: &[Token], at: usize) -> usize {
        let mut path = vec![tokens[at].word().to_string()];
        let mut last = at;
        while let (Some(Token::Path), Some(Token::Word(next))) =
            (tokens.get(last + 1), tokens.get(last + 2))
        {
            path.push(next.clone());
            last += 2;
        }
        self.words.insert(path[0].clone());
        let is_inside = at > 0 && tokens[at - 1] == Token::Path; // as in `<T>::new`
        if path.len() > 1 && !is_inside {
            self.paths.push(path);
        }
        last
    }

    /// Takes what stands between `use` and `;`.
    fn add_imports(&mut self, tree: &[Token], is_public: bool) {
        let mut open = vec![(Vec::new(), tree)];
        while let Some((before, tree)) = open.pop() {
            for branch in branches(tree) {
                let mut path: Vec<String> = before.clone();
                let mut name = None;
                let mut at = 0;
                while at < branch.len() {
                    match &branch[at] {
                        Token::Word(word) if word == "as" => {
                            name = branch.get(at + 1).map(|alias| alias.word().to_string());
                            at += 1;
                        }
                        Token::Word(word) => path.push(word.clone()),
                        Token::Sign('{') => {
                            let end = behind(branch, at);
                            open.push((path.clone(), &branch[at + 1..end - 1]));
                            path.clear();
                            break;
                        }
                        _ => {}
                    }
                    at += 1;
                }
                let is_glob = branch.last().is_some_and(|token| token.is('*'));
                if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                if let Some(last) = path.last().cloned() {
                    let name = (!is_glob).then(|| name.unwrap_or(last));
                    self.imports.push(Import { name, path, is_public });
                }
            }
        }
    }
}

/// The parts between the commas that stand in no brackets.
fn branches(tree: &[Token]) -> Vec<&[Token]> {
    let (mut branches, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tree.len() {
        match tree[at] {
            Token::Sign('{') => at = behind(tree, at),
            Token::Sign(',') => {
                branches.push(&tree[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    branches.push(&tree[start..]);
    branches
}

/// The name of an item that is defined here.
fn definition(tokens: &[Token]) -> Option<String> {
    const KINDS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
    let word = |at: usize| tokens.get(at).map_or("", Token::word);
    match word(0) {
        "macro_rules" => tokens.get(2).map(|name| name.word().to_string()),
        kind if KINDS.contains(&kind) => {
            let name = if word(1) == "mut" { word(2) } else { word(1) };
            (!["fn", "unsafe", "extern", "async", "_", ""].contains(&name))
                .then(|| name.to_string())
        }
        _ => None,
    }
}

fn find(tokens: &[Token], from: usize, sign: char) -> usize {
    let behind = tokens.iter().skip(from).position(|token| token.is(sign));
    behind.map_or(tokens.len(), |behind| from + behind)
}
