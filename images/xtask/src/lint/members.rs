//! The packages of the workspace and everything they depend on, as cargo resolved it.

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

/// Members, and which package uses which.
#[derive(Debug, Default)]
pub struct Members {
    pub packages: Vec<Member>,
    /// What a package's own tests need as well.
    pub uses: BTreeMap<String, BTreeSet<String>>,
    /// What comes with a package into whatever depends on it.
    pub brings: BTreeMap<String, BTreeSet<String>>,
}

impl Members {
    pub fn read(workspace: &Workspace) -> Result<Members> {
        let asked = workspace
            .cargo()
            .args(["metadata", "--format-version=1", "--filter-platform"])
            .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
            .output()
            .context("cannot run cargo metadata")?;
        if !asked.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&asked.stderr));
        }
        let metadata = serde_json::from_slice(&asked.stdout).context("cargo metadata")?;
        Self::parse(&metadata, &workspace.root)
            .context("cargo metadata is not as this program knows it")
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
        // Two versions of a package are one here: the rules are about names.
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
                        .brings
                        .entry(name.clone())
                        .or_default()
                        .insert(on.clone());
                }
                members.uses.entry(name.clone()).or_default().insert(on);
            }
        }
        Some(members)
    }

    /// How a package comes to depend on another, tests of its own included: the names from one to the other.
    pub fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::from([from]);
        let mut index = 0;
        while let Some(way) = ways.get(index).cloned() {
            index += 1;
            let last = way.last()?;
            let edges = if index == 1 { &self.uses } else { &self.brings };
            for next in edges.get(last).into_iter().flatten() {
                if !seen.insert(next) {
                    continue;
                }
                let further: Vec<String> = way.iter().chain([next]).cloned().collect();
                if next == to {
                    return Some(further);
                }
                ways.push(further);
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
    fn what_cargo_says_is_understood() {
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
            members.way("a", "tokio").expect("by way of b"),
            ["a", "b", "tokio"]
        );
        assert_eq!(members.way("tokio", "a"), None);
        assert!(Members::parse(&json!({}), Path::new("/root")).is_none());
    }

    #[test]
    fn the_tests_of_a_dependency_bring_nothing() {
        let edge = |from: &str, to: &str| (from.to_owned(), BTreeSet::from([to.to_owned()]));
        let members = Members {
            uses: BTreeMap::from([edge("a", "b"), edge("b", "c")]),
            brings: BTreeMap::from([edge("a", "b")]),
            ..Members::default()
        };
        assert!(members.way("b", "c").is_some());
        assert_eq!(members.way("a", "c"), None);
    }
}
