//! Names for lists of services.

use crate::model::{Policy, Service};

impl Policy {
    /// Names for a list of services. A named service whose entries are all in the list stands for them: larger ones are
    /// chosen first, and of equal ones the first, so that the catalogue comes before the policy. Entries without a name are
    /// written as `tcp/5000-5010`.
    pub fn service_names(&self, services: &[Service]) -> Vec<String> {
        let is_contained = |entries: &[Service]| {
            !entries.is_empty() && entries.iter().all(|entry| services.contains(entry))
        };
        let mut named: Vec<_> = self
            .services
            .iter()
            .filter(|one| is_contained(&one.entries))
            .collect();
        // The sort is stable: of equal lengths the first stays first.
        named.sort_by_key(|one| std::cmp::Reverse(one.entries.len()));
        let mut left: Vec<Service> = services.to_vec();
        let mut names = Vec::new();
        for one in named {
            if one.entries.iter().any(|entry| left.contains(entry)) {
                left.retain(|entry| !one.entries.contains(entry));
                names.push(one.name.clone());
            }
        }
        names.extend(left.iter().map(ToString::to_string));
        names
    }
}

#[cfg(test)]
mod tests {
    use crate::{Sources, from_sources};

    #[test]
    fn lists_of_services_are_named_by_the_catalogue_and_the_policy() {
        let site = "site: s\nports: {a: {device: a}}\nsegments: {s: {attach: [a], subnets: [10.0.0.0/24]}}\n";
        for (written, names) in [
            ("https", vec!["https"]),
            // Three services of the catalogue have this port: the first names it.
            ("dicomweb", vec!["https"]),
            ("[dns, smb]", vec!["dns", "smb"]),
            ("active-directory", vec!["active-directory"]),
            ("tcp/53", vec!["tcp/53"]),
            (
                "[tcp/5000-5010, own, icmp]",
                vec!["own", "icmp", "tcp/5000-5010"],
            ),
            ("any", vec!["any"]),
        ] {
            let policy = format!(
                "services: {{own: {{tcp: [7, 8], udp: 7}}}}\nrules: [{{name: r, from: any, to: any, service: {written}}}]"
            );
            let sources = Sources {
                site: site.to_owned(),
                policy: Some(policy),
                devices: None,
            };
            let policy = from_sources(&sources).expect("is a policy").policy;
            let found = policy.service_names(&policy.rules[0].services);
            assert_eq!(found, names, "{written}");
        }
    }
}
