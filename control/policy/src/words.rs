//! Services in the words they were written in.

use crate::model::{Policy, Service};

impl Policy {
    /// The names of services: of those that are all there, the longest, and of the same ones the first, which is the
    /// catalogue's; ports that have none as `tcp/5000-5010`.
    pub fn service_names(&self, services: &[Service]) -> Vec<String> {
        let whole = |entries: &[Service]| {
            !entries.is_empty() && entries.iter().all(|entry| services.contains(entry))
        };
        let mut named: Vec<_> = self
            .services
            .iter()
            .filter(|one| whole(&one.entries))
            .collect();
        // Stable: the first stays the first.
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
    fn services_have_the_names_of_the_catalogue_and_of_the_policy() {
        let site = "site: s\nports: {a: {device: a}}\nsegments: {s: {attach: [a], subnets: [10.0.0.0/24]}}\n";
        for (written, names) in [
            ("https", vec!["https"]),
            // One port, three names: the first.
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
            let said = policy.service_names(&policy.rules[0].services);
            assert_eq!(said, names, "{written}");
        }
    }
}
