//! The port numbers of a policy, and whether a new policy gives them to other interfaces.

use cordon_kernel::Error;
use cordon_verdict::abi::PORTS;

use super::gateway::{Engine, InForce};
use crate::active_policy::ActivePolicy;

impl Engine {
    /// Whether a policy with these ports gives a number to another interface than the policy in force.
    pub(super) fn renumbers(&self, ports: &[String]) -> Result<bool, Error> {
        Ok(renumbered(self.known_ports()?.as_deref(), ports))
    }

    /// The interface of each port number in the kernel; none if unknown.
    pub(super) fn known_ports(&self) -> Result<Option<Vec<String>>, Error> {
        Ok(match self.in_force()? {
            InForce::Empty => Some(Vec::new()),
            InForce::Tables(control) => {
                let slot = &self.in_kernel.slots[usize::from(control.slot)];
                slot.as_ref().map(|slot| slot.ports.clone())
            }
        })
    }
}

/// The interface of each port of a policy, by port number.
pub fn ports_of(active: Option<&ActivePolicy>) -> Vec<String> {
    let ports = active.map_or(&[][..], |active| &active.policy.ports);
    ports.iter().map(|port| port.device.clone()).collect()
}

/// The port numbers whose interface changes or goes away; all if the interfaces before are unknown.
pub fn changed(before: Option<&[String]>, after: &[String]) -> Vec<u16> {
    let Some(before) = before else {
        return (0..PORTS as u16).collect();
    };
    let same = |port: &u16| before.get(usize::from(*port)) == after.get(usize::from(*port));
    (0..before.len() as u16)
        .filter(|port| !same(port))
        .collect()
}

/// Whether a number is given to another interface, or an interface gets another number.
pub fn renumbered(before: Option<&[String]>, after: &[String]) -> bool {
    let Some(before) = before else {
        return true;
    };
    before.iter().enumerate().any(|(port, nic)| {
        after.get(port) != Some(nic) && (port < after.len() || after.contains(nic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn only_ports_that_change_interface_are_interrupted() {
        // before, after: changed, renumbered
        for (before, after, ports, moved) in [
            ("", "a b", vec![], false),
            ("a b", "a b", vec![], false),
            ("a b", "a b c", vec![], false),
            ("a b c", "a b", vec![2], false),
            ("a b", "b a", vec![0, 1], true),
            ("a b", "c a b", vec![0, 1], true),
            ("a b", "a c", vec![1], true),
            ("a b c", "a c", vec![1, 2], true),
        ] {
            let (before, after) = (names(before), names(after));
            assert_eq!(
                changed(Some(&before), &after),
                ports,
                "{before:?} {after:?}"
            );
            assert_eq!(
                renumbered(Some(&before), &after),
                moved,
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn all_ports_change_if_the_interfaces_before_are_unknown() {
        assert_eq!(changed(None, &names("a")).len(), PORTS);
        assert!(renumbered(None, &names("a")));
    }
}
