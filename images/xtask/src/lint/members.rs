//! The packages of the workspace and their dependencies, as cargo resolved them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::Workspace;

/// A member of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    /// Relative to the workspace.
    pub folder: PathBuf,
}

/// The members, and the dependencies of every package by name.
#[derive(Debug, Default)]
pub struct Members {
    pub packages: Vec<Member>,
    /// Direct dependencies, those of the package's own tests included.
    pub uses: BTreeMap<String, BTreeSet<String>>,
    /// Direct dependencies without those of tests: what a dependent of the package depends on too.
    pub inherited: BTreeMap<String, BTreeSet<String>>,
}

impl Members {
    pub fn read(workspace: &Workspace) -> Result<Members> {
        let output = workspace
            .cargo()
            .args(["metadata", "--format-version=1", "--filter-platform"])
            .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!(
                "cargo metadata: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Self::parse(&metadata, &workspace.root).context("cargo metadata has an unknown format")
    }

    fn parse(metadata: &Value, root: &Path) -> Option<Members> {
        let mut members = Members::default();
        let mut names = BTreeMap::new();
        let own: BTreeSet<&str> = strings(&metadata["workspace_members"])?.collect();
        for package in metadata["packages"].as_array()? {
            let (id, name) = (package["id"].as_str()?, package["name"].as_str()?);
            names.insert(id, name);
            if own.contains(id) {
                let manifest = Path::new(package["manifest_path"].as_str()?);
                let folder = manifest.parent()?;
                members.packages.push(Member {
                    name: name.to_owned(),
                    folder: folder.strip_prefix(root).unwrap_or(folder).to_owned(),
                });
            }
        }
        // Two versions of a package are merged: the rules are about names.
        for node in metadata["resolve"]["nodes"].as_array()? {
            let name = (*names.get(node["id"].as_str()?)?).to_owned();
            for dependency in node["deps"].as_array()? {
                let on = (*names.get(dependency["pkg"].as_str()?)?).to_owned();
                let for_tests_only = dependency["dep_kinds"]
                    .as_array()?
                    .iter()
                    .all(|kind| kind["kind"] == "dev");
                if !for_tests_only {
                    members
                        .inherited
                        .entry(name.clone())
                        .or_default()
                        .insert(on.clone());
                }
                members.uses.entry(name.clone()).or_default().insert(on);
            }
        }
        Some(members)
    }

    /// The shortest chain of dependencies from one package to another, starting with those of the package's own tests too.
    pub fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut paths = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::from([from]);
        let mut index = 0;
        while let Some(path) = paths.get(index).cloned() {
            index += 1;
            let last = path.last()?;
            let edges = if index == 1 {
                &self.uses
            } else {
                &self.inherited
            };
            for next in edges.get(last).into_iter().flatten() {
                if !seen.insert(next) {
                    continue;
                }
                let longer: Vec<String> = path.iter().chain([next]).cloned().collect();
                if next == to {
                    return Some(longer);
                }
                paths.push(longer);
            }
        }
        None
    }
}

fn strings(value: &Value) -> Option<impl Iterator<Item = &str>> {
    Some(value.as_array()?.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_output_of_cargo_metadata_is_parsed() {
        let metadata = json!({
            "workspace_members": ["a#1", "b#1"],
            "packages": [
                {"id": "a#1", "name": "a", "manifest_path": "/root/control/a/Cargo.toml"},
                {"id": "b#1", "name": "b", "manifest_path": "/root/tests/b/Cargo.toml"},
                {"id": "tokio#1", "name": "tokio", "manifest_path": "/registry/tokio/Cargo.toml"},
            ],
            "resolve": {"nodes": [
                {"id": "a#1", "deps": [
                    {"pkg": "b#1", "dep_kinds": [{"kind": "dev"}]},
                ]},
                {"id": "b#1", "deps": [
                    {"pkg": "tokio#1", "dep_kinds": [{"kind": null}, {"kind": "dev"}]},
                ]},
                {"id": "tokio#1", "deps": []},
            ]},
        });
        let members = Members::parse(&metadata, Path::new("/root")).expect("is complete");
        assert_eq!(members.packages[0].folder, Path::new("control/a"));
        assert_eq!(members.packages.len(), 2);
        assert_eq!(
            members.path("a", "tokio").expect("through b"),
            ["a", "b", "tokio"]
        );
        assert_eq!(members.path("tokio", "a"), None);
        assert!(Members::parse(&json!({}), Path::new("/root")).is_none());
    }

    #[test]
    fn dev_dependencies_are_not_inherited() {
        let edge = |from: &str, to: &str| (from.to_owned(), BTreeSet::from([to.to_owned()]));
        let members = Members {
            uses: BTreeMap::from([edge("a", "b"), edge("b", "c")]),
            inherited: BTreeMap::from([edge("a", "b")]),
            ..Members::default()
        };
        assert!(members.path("b", "c").is_some());
        assert_eq!(members.path("a", "c"), None);
    }
}
