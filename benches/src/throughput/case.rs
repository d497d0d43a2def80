//! The cases of the throughput benchmark.

use crate::gateways::Kind;
use crate::plan::Plan;
use crate::traffic::{DEVICES, FLOWS, RULES, Site, short};

/// A line of the table: a gateway that is configured for a site and passes a number of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// The kind of gateway.
    pub kind: Kind,
    /// The number of flows.
    pub flows: u32,
    /// The site; irrelevant to a bare redirect.
    pub site: Site,
}

impl Case {
    /// The last parts of its records' names.
    pub fn suffix(self) -> String {
        let flows = short(self.flows);
        match self.kind {
            Kind::Redirect => flows,
            _ => format!("{flows}.{}", self.site.name()),
        }
    }

    /// Its name in records.
    pub fn name(self) -> String {
        format!("{}.{}", self.kind.name(), self.suffix())
    }
}

/// The cases that the plan asks for. Cases that are compared with each other are neighbours.
pub fn cases(plan: &Plan) -> Vec<Case> {
    let mut cases = all();
    cases.retain(|case| plan.wants(&case.name()));
    cases
}

/// The names of all cases.
pub fn names() -> impl Iterator<Item = String> {
    all().into_iter().map(Case::name)
}

fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for flows in FLOWS {
        let case = |kind, site| Case { kind, flows, site };
        cases.push(case(Kind::Redirect, Site::Devices(DEVICES[0])));
        for site in DEVICES.map(Site::Devices) {
            cases.push(case(Kind::Nftables, site));
            cases.push(case(Kind::Cordon, site));
        }
        for site in RULES.map(Site::Rules) {
            cases.push(case(Kind::Cordon, site));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Vec<String> {
        let plan = Plan {
            rounds: 1,
            seconds: 1.0,
            only: only.iter().map(|only| (*only).to_owned()).collect(),
            sender: 0,
        };
        cases(&plan).into_iter().map(Case::name).collect()
    }

    #[test]
    fn all_cases_are_measured_unless_some_are_named() {
        assert_eq!(names(&[]).len(), 14);
        assert_eq!(names(&["cordon.1k.10"]), ["cordon.1k.10"]);
        assert_eq!(names(&["cordon.60k", "redirect.60k"]).len(), 5);
        assert!(names(&["cordon.6"]).is_empty());
    }
}
