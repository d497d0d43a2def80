//! Roles: which calls a caller may make, by the groups of its process.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::extract::Request;
use axum::http::Method;

use crate::config;
use crate::refusal::Refusal;

/// A role. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// No call.
    None,
    /// Reads.
    Look,
    /// Reads, and gives quarantines.
    Contain,
    /// Every call.
    All,
}

impl fmt::Display for Role {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Role::None => "none",
            Role::Look => "look",
            Role::Contain => "contain",
            Role::All => "all",
        })
    }
}

impl Role {
    /// The role that a request takes, as far as its head shows. A call that is not listed here takes [`Role::All`].
    pub fn of(request: &Request) -> Role {
        match (request.method(), request.uri().path()) {
            (&Method::GET, _) | (&Method::POST, "/v1/explain") => Role::Look,
            // A release takes more: see `api::order`.
            (&Method::POST, "/v1/orders") => Role::Contain,
            _ => Role::All,
        }
    }
}

/// A group, and the role that its members have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    role: Role,
    name: String,
    gid: u32,
}

/// The groups that have roles.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    members: Vec<Member>,
    /// The user that the daemon runs as.
    own: u32,
}

/// The credentials of a caller, as the kernel recorded them at connect(2).
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The effective user ID.
    pub uid: u32,
    /// The effective group ID, and the supplementary groups.
    pub groups: Vec<u32>,
}

impl Roles {
    /// Looks the groups of the configuration up.
    ///
    /// # Errors
    /// If one does not exist.
    pub fn new(config: &config::Socket) -> anyhow::Result<Roles> {
        let roles = &config.roles;
        let named = [
            (Role::All, &config.group, "group"),
            (Role::All, &roles.all, "roles.all"),
            (Role::Contain, &roles.contain, "roles.contain"),
            (Role::Look, &roles.look, "roles.look"),
        ];
        let mut members = Vec::new();
        for (role, name, key) in named {
            if let Some(name) = name {
                members.push(Member {
                    role,
                    name: name.clone(),
                    gid: group(name, key)?,
                });
            }
        }
        Ok(Roles {
            members,
            own: nix::unistd::geteuid().as_raw(),
        })
    }

    /// The group, if there is only one.
    pub fn only_group(&self) -> Option<u32> {
        let first = self.members.first()?.gid;
        self.members
            .iter()
            .all(|member| member.gid == first)
            .then_some(first)
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The role of a caller. Root and the daemon's own user, which owns the state, have all.
    fn of(&self, caller: &Credentials) -> Role {
        if caller.uid == 0 || caller.uid == self.own {
            return Role::All;
        }
        let has = |member: &&Member| caller.groups.contains(&member.gid);
        let roles = self.members.iter().filter(has).map(|member| member.role);
        roles.max().unwrap_or(Role::None)
    }

    /// The names of the groups that have a role.
    fn groups(&self, role: Role) -> String {
        let has = self.members.iter().filter(|member| member.role >= role);
        let mut names: Vec<String> = has.map(|member| format!("`{}`", member.name)).collect();
        names.dedup();
        names.join(" and ")
    }
}

/// What a caller may do.
#[derive(Clone)]
pub struct Access {
    role: Role,
    roles: Arc<Roles>,
}

impl Access {
    /// The access of a caller.
    pub fn of(roles: &Arc<Roles>, caller: &Credentials) -> Access {
        Access {
            role: roles.of(caller),
            roles: Arc::clone(roles),
        }
    }

    /// Checks that the caller has a role.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] with the role, and the groups that have it.
    pub fn require(&self, role: Role) -> Result<(), Refusal> {
        if self.role >= role {
            return Ok(());
        }
        let owners = match self.roles.groups(role).as_str() {
            "" => "root alone has it".to_owned(),
            groups => format!("root and members of {groups} have it"),
        };
        Err(Refusal::Forbidden {
            message: format!(
                "this takes the role `{role}`, and you have `{}`: nothing was changed",
                self.role
            ),
            hint: format!(
                "{owners}; gateway.toml names the groups under [socket] and [socket.roles], and a new member has to log in again"
            ),
        })
    }
}

#[cfg(test)]
impl Access {
    /// The access of a caller with this role, where `engineers` have all, `analysts` contain and `wards` look.
    pub fn with_role(role: Role) -> Access {
        Access {
            role,
            roles: tests::roles(),
        }
    }
}

fn group(name: &str, key: &str) -> anyhow::Result<u32> {
    let found = nix::unistd::Group::from_name(name)
        .with_context(|| format!("group {name} cannot be looked up"))?;
    match found {
        Some(group) => Ok(group.gid.as_raw()),
        None => bail!(
            "there is no group {name}, which [socket] {key} names: create it (groupadd --system {name}), or remove the setting"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn roles() -> Arc<Roles> {
        let member = |role, name: &str, gid| Member {
            role,
            name: name.to_owned(),
            gid,
        };
        Arc::new(Roles {
            members: vec![
                member(Role::All, "engineers", 30),
                member(Role::Contain, "analysts", 20),
                member(Role::Look, "wards", 10),
            ],
            own: 500,
        })
    }

    fn access(uid: u32, groups: &[u32]) -> Access {
        let caller = Credentials {
            uid,
            groups: groups.to_vec(),
        };
        Access::of(&roles(), &caller)
    }

    #[test]
    fn the_highest_role_of_all_groups_counts() {
        for (uid, groups, role) in [
            (0, &[][..], Role::All),
            (500, &[], Role::All),
            (1000, &[], Role::None),
            (1000, &[11, 1000], Role::None),
            (1000, &[1000, 10], Role::Look),
            (1000, &[10, 20], Role::Contain),
            (1000, &[30, 10], Role::All),
        ] {
            assert_eq!(access(uid, groups).role, role, "{uid} {groups:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_role_and_the_groups_that_have_it() {
        let refused = access(1000, &[10]).require(Role::Contain);
        let failure = refused.expect_err("is refused").into_failure();
        assert_eq!(
            failure.message,
            "this takes the role `contain`, and you have `look`: nothing was changed"
        );
        let hint = failure.hint.expect("has a hint");
        assert!(
            hint.starts_with("root and members of `engineers` and `analysts` have it"),
            "{hint}"
        );
        assert!(access(1000, &[20]).require(Role::Contain).is_ok());
        let none = Access::of(
            &Arc::default(),
            &Credentials {
                uid: 7,
                groups: Vec::new(),
            },
        );
        let failure = none
            .require(Role::Look)
            .expect_err("is refused")
            .into_failure();
        assert!(
            failure
                .hint
                .is_some_and(|hint| hint.starts_with("root alone has it"))
        );
    }

    #[test]
    fn every_call_takes_a_role() {
        for (method, path, role) in [
            ("GET", "/v1/status", Role::Look),
            ("GET", "/v1/events", Role::Look),
            ("GET", "/v1/orders", Role::Look),
            ("POST", "/v1/explain", Role::Look),
            ("POST", "/v1/orders", Role::Contain),
            ("POST", "/v1/policy", Role::All),
            ("POST", "/v1/policy/confirm", Role::All),
            ("PUT", "/v1/anything", Role::All),
        ] {
            let request = Request::builder().method(method).uri(path);
            let request = request.body(axum::body::Body::empty()).expect("is valid");
            assert_eq!(Role::of(&request), role, "{method} {path}");
        }
    }
}
