//! The modules of this crate form layers: `src/lib.rs` declares them in groups, the lowest first, and a module uses modules
//! of lower groups only.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[test]
fn modules_use_modules_of_lower_layers_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layers = layers(&read(&source, "lib"));
    assert!(layers.len() > 20, "{layers:?}");
    let mut problems = Vec::new();
    for (module, layer) in &layers {
        for used in uses(&read(&source, module)) {
            match layers.get(&used) {
                Some(lower) if lower < layer => {}
                _ => problems.push(format!("{module} uses {used}")),
            }
        }
    }
    assert_eq!(problems, [""; 0]);
}

fn read(source: &Path, module: &str) -> String {
    let file = source.join(module).with_extension("rs");
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The number of each module's group of `mod` lines.
fn layers(lib: &str) -> BTreeMap<String, usize> {
    let mut layers = BTreeMap::new();
    for (layer, group) in lib.split("\n\n").enumerate() {
        let names = group
            .lines()
            .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        layers.extend(names.map(|name| (name.to_owned(), layer)));
    }
    layers
}

/// The modules that `crate::` paths of a file start with.
fn uses(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    let paths = code
        .split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or("").split(',').collect(),
            None => vec![rest],
        });
    let names = paths.map(|path| {
        let end = |c: char| !c.is_alphanumeric() && c != '_';
        path.trim().split(end).next().unwrap_or("").to_owned()
    });
    names
        .filter(|name| name.starts_with(char::is_lowercase))
        .collect()
}

#[test]
fn paths_are_found_in_every_form() {
    let text = "use crate::one::Item;\nuse crate::{two, three::{Item}};\n// crate::comment\nlet x = crate::four::f();";
    assert_eq!(uses(text), ["one", "two", "three", "four"]);
}
