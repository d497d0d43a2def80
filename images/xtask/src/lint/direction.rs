//! Which crate may depend on which. Dependencies run from control to the data plane, never back.

use crate::lint::members::{Member, Members};

/// The packages that a rule binds.
enum Dependents {
    /// Every member in a folder, except one package.
    InFolder(&'static str, Option<&'static str>),
    Package(&'static str),
}

/// The packages that they must not depend on, not even for their tests.
enum Forbidden {
    InFolder(&'static str),
    Package(&'static str),
}

struct Rule {
    dependents: Dependents,
    forbidden: Forbidden,
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        dependents: Dependents::InFolder("dataplane", None),
        forbidden: Forbidden::InFolder("control"),
        why: "the data plane does not depend on what controls it",
    },
    Rule {
        dependents: Dependents::InFolder("control", Some("cordon-gateway")),
        forbidden: Forbidden::Package("cordon-kernel"),
        why: "only the daemon on the appliance touches the kernel",
    },
    Rule {
        dependents: Dependents::Package("cordon-policy"),
        forbidden: Forbidden::Package("tokio"),
        why: "validating a policy is a function of its files",
    },
    Rule {
        dependents: Dependents::Package("cordon-compile"),
        forbidden: Forbidden::Package("tokio"),
        why: "compiling a policy is a function of the policy",
    },
    Rule {
        dependents: Dependents::Package("cordon-oracle"),
        forbidden: Forbidden::Package("cordon-compile"),
        why: "the oracle must not share the mistakes of the compiler",
    },
    Rule {
        dependents: Dependents::Package("cordon-verdict"),
        forbidden: Forbidden::Package("cordon-portable"),
        why: "the decision is generic over its tables",
    },
    Rule {
        dependents: Dependents::Package("cordon-verdict"),
        forbidden: Forbidden::Package("cordon-tables"),
        why: "the decision function reads tables by a trait, not by the compiler's data type",
    },
    Rule {
        dependents: Dependents::Package("cordon-tables"),
        forbidden: Forbidden::Package("cordon-portable"),
        why: "the data type of the tables does not know its simulator",
    },
    Rule {
        dependents: Dependents::Package("xtask"),
        forbidden: Forbidden::Package("cordon-kernel"),
        why: "xtask is compiled before the eBPF toolchain is installed",
    },
];

impl Dependents {
    fn include(&self, member: &Member) -> bool {
        match *self {
            Dependents::InFolder(folder, except) => {
                member.folder.starts_with(folder) && except != Some(member.name.as_str())
            }
            Dependents::Package(name) => member.name == name,
        }
    }
}

pub fn problems(members: &Members) -> Vec<String> {
    RULES
        .iter()
        .flat_map(|rule| violations(rule, members))
        .collect()
}

fn violations(rule: &Rule, members: &Members) -> Vec<String> {
    let bound: Vec<_> = members
        .packages
        .iter()
        .filter(|member| rule.dependents.include(member))
        .collect();
    if bound.is_empty() {
        // A rule that binds no package could never fail.
        return vec![format!(
            "the rule \"{}\" applies to no package: was one renamed?",
            rule.why
        )];
    }
    let forbidden: Vec<&str> = match rule.forbidden {
        Forbidden::Package(name) => vec![name],
        Forbidden::InFolder(folder) => members
            .packages
            .iter()
            .filter(|member| member.folder.starts_with(folder))
            .map(|member| member.name.as_str())
            .collect(),
    };
    let mut problems = Vec::new();
    for member in bound {
        for to in &forbidden {
            if let Some(path) = members.path(&member.name, to) {
                problems.push(format!("{}: not allowed: {}", path.join(" -> "), rule.why));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn members(edges: &[(&str, &str)]) -> Members {
        let packages = [
            ("cordon-verdict", "dataplane/verdict"),
            ("cordon-kernel", "dataplane/kernel"),
            ("cordon-tables", "dataplane/tables"),
            ("cordon-portable", "dataplane/portable"),
            ("cordon-policy", "control/policy"),
            ("cordon-compile", "control/compile"),
            ("cordon-gateway", "control/gateway"),
            ("cordon-cli", "control/cli"),
            ("cordon-oracle", "tests/oracle"),
            ("xtask", "images/xtask"),
        ];
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            uses.entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        Members {
            packages: packages
                .map(|(name, folder)| Member {
                    name: name.to_owned(),
                    folder: folder.into(),
                })
                .to_vec(),
            inherited: uses.clone(),
            uses,
        }
    }

    #[test]
    fn allowed_dependencies_are_not_reported() {
        let allowed = members(&[
            ("cordon-gateway", "cordon-kernel"),
            ("cordon-gateway", "tokio"),
            ("cordon-kernel", "cordon-verdict"),
            ("cordon-compile", "cordon-policy"),
            ("cordon-oracle", "cordon-policy"),
            ("cordon-cli", "cordon-portable"),
            ("cordon-compile", "cordon-tables"),
            ("cordon-portable", "cordon-tables"),
        ]);
        assert_eq!(problems(&allowed), [""; 0]);
    }

    #[test]
    fn forbidden_dependencies_are_reported_with_their_path() {
        for (edges, path) in [
            (
                vec![("cordon-kernel", "cordon-policy")],
                "cordon-kernel -> cordon-policy: not allowed",
            ),
            (
                vec![("cordon-cli", "helper"), ("helper", "cordon-kernel")],
                "cordon-cli -> helper -> cordon-kernel: not allowed",
            ),
            (
                vec![("cordon-policy", "tokio")],
                "cordon-policy -> tokio: not allowed",
            ),
            (
                vec![("cordon-compile", "tokio")],
                "cordon-compile -> tokio: not allowed",
            ),
            (
                vec![("cordon-oracle", "cordon-compile")],
                "cordon-oracle -> cordon-compile: not allowed",
            ),
            (
                vec![("cordon-verdict", "cordon-portable")],
                "cordon-verdict -> cordon-portable: not allowed",
            ),
            (
                vec![("cordon-verdict", "cordon-tables")],
                "cordon-verdict -> cordon-tables: not allowed",
            ),
            (
                vec![("cordon-tables", "cordon-portable")],
                "cordon-tables -> cordon-portable: not allowed",
            ),
            (
                vec![("xtask", "cordon-kernel")],
                "xtask -> cordon-kernel: not allowed",
            ),
        ] {
            let problems = problems(&members(&edges));
            assert!(
                problems.iter().any(|line| line.starts_with(path)),
                "{path} in {problems:?}"
            );
        }
    }

    #[test]
    fn a_rule_that_applies_to_no_package_is_reported() {
        let mut renamed = members(&[]);
        renamed
            .packages
            .retain(|member| member.name != "cordon-oracle");
        assert_eq!(problems(&renamed).len(), 1);
    }
}
