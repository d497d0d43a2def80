//! Which crate may depend on which. Arrows run from control to the data plane, never back.

use crate::lint::members::{Member, Members};

/// Whom a rule is about.
enum Who {
    /// Every member below a folder, but one.
    Below(&'static str, Option<&'static str>),
    Package(&'static str),
}

/// What they must not depend on, tests of their own included.
enum On {
    Below(&'static str),
    Package(&'static str),
}

struct Rule {
    who: Who,
    on: On,
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        who: Who::Below("dataplane", None),
        on: On::Below("control"),
        why: "the data plane knows nothing of who controls it",
    },
    Rule {
        who: Who::Below("control", Some("cordon-gateway")),
        on: On::Package("cordon-kernel"),
        why: "only the daemon on the appliance touches the kernel",
    },
    Rule {
        who: Who::Package("cordon-policy"),
        on: On::Package("tokio"),
        why: "validating a policy is a function of its files",
    },
    Rule {
        who: Who::Package("cordon-compile"),
        on: On::Package("tokio"),
        why: "compiling a policy is a function of the policy",
    },
    Rule {
        who: Who::Package("cordon-oracle"),
        on: On::Package("cordon-compile"),
        why: "a second opinion that shares the compiler would share its mistakes",
    },
    Rule {
        who: Who::Package("cordon-verdict"),
        on: On::Package("cordon-portable"),
        why: "the decision does not know which tables it looks into",
    },
    Rule {
        who: Who::Package("xtask"),
        on: On::Package("cordon-kernel"),
        why: "it is compiled before the eBPF toolchain is installed",
    },
];

impl Who {
    fn is(&self, member: &Member) -> bool {
        match *self {
            Who::Below(folder, but) => {
                member.folder.starts_with(folder) && but != Some(member.name.as_str())
            }
            Who::Package(name) => member.name == name,
        }
    }
}

pub fn problems(members: &Members) -> Vec<String> {
    RULES
        .iter()
        .flat_map(|rule| broken(rule, members))
        .collect()
}

fn broken(rule: &Rule, members: &Members) -> Vec<String> {
    let bound: Vec<_> = members
        .packages
        .iter()
        .filter(|member| rule.who.is(member))
        .collect();
    if bound.is_empty() {
        // A rule about nobody would hold for ever.
        return vec![format!(
            "no package is bound by the rule that {}: was it renamed?",
            rule.why
        )];
    }
    let forbidden: Vec<&str> = match rule.on {
        On::Package(name) => vec![name],
        On::Below(folder) => members
            .packages
            .iter()
            .filter(|member| member.folder.starts_with(folder))
            .map(|member| member.name.as_str())
            .collect(),
    };
    let mut problems = Vec::new();
    for member in bound {
        for to in &forbidden {
            if let Some(way) = members.way(&member.name, to) {
                problems.push(format!("{} must not: {}", way.join(" -> "), rule.why));
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
            brings: uses.clone(),
            uses,
        }
    }

    #[test]
    fn every_arrow_that_is_drawn_is_allowed() {
        let drawn = members(&[
            ("cordon-gateway", "cordon-kernel"),
            ("cordon-gateway", "tokio"),
            ("cordon-kernel", "cordon-verdict"),
            ("cordon-compile", "cordon-policy"),
            ("cordon-oracle", "cordon-policy"),
            ("cordon-cli", "cordon-portable"),
        ]);
        assert_eq!(problems(&drawn), [""; 0]);
    }

    #[test]
    fn every_arrow_that_runs_back_is_told_with_its_way() {
        for (edges, way) in [
            (
                vec![("cordon-kernel", "cordon-policy")],
                "cordon-kernel -> cordon-policy must not",
            ),
            (
                vec![("cordon-cli", "helper"), ("helper", "cordon-kernel")],
                "cordon-cli -> helper -> cordon-kernel must not",
            ),
            (
                vec![("cordon-policy", "tokio")],
                "cordon-policy -> tokio must not",
            ),
            (
                vec![("cordon-compile", "tokio")],
                "cordon-compile -> tokio must not",
            ),
            (
                vec![("cordon-oracle", "cordon-compile")],
                "cordon-oracle -> cordon-compile must not",
            ),
            (
                vec![("cordon-verdict", "cordon-portable")],
                "cordon-verdict -> cordon-portable must not",
            ),
            (
                vec![("xtask", "cordon-kernel")],
                "xtask -> cordon-kernel must not",
            ),
        ] {
            let told = problems(&members(&edges));
            assert!(
                told.iter().any(|line| line.starts_with(way)),
                "{way} in {told:?}"
            );
        }
    }

    #[test]
    fn a_rule_that_binds_nobody_is_told() {
        let mut renamed = members(&[]);
        renamed
            .packages
            .retain(|member| member.name != "cordon-oracle");
        assert_eq!(problems(&renamed).len(), 1);
    }
}
