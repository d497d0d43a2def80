//! `survives`, `owner` and `reason`.

use crate::fields::{self, Fields};
use crate::model::Posture;
use crate::problem::{Code, Problems};

/// Up to which posture a rule or service applies, and who is responsible.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub survives: Option<Posture>,
    pub owner: Option<String>,
    pub reason: Option<String>,
}

/// Reads and checks `survives`, `owner` and `reason`. `what` names the rule in messages.
pub(crate) fn terms(
    fields: &mut Fields,
    what: &str,
    allow: bool,
    problems: &mut Problems,
) -> Terms {
    let mut terms = Terms::default();
    for (name, slot) in [("owner", &mut terms.owner), ("reason", &mut terms.reason)] {
        if let Some(node) = fields.optional(name) {
            *slot = fields::text(node, &format!("`{name}`"), problems)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty());
        }
    }
    let Some(node) = fields.optional("survives") else {
        return terms;
    };
    let words = Posture::ALL.map(|posture| (posture.name(), posture));
    terms.survives = fields::word(node, "posture", &words, problems);
    match terms.survives {
        Some(_) if !allow => {
            problems
                .add(
                    node.position,
                    Code::Conflict,
                    format!("{what} denies, so it applies at every posture"),
                )
                .hint("remove `survives`");
        }
        Some(Posture::Sever) => {
            problems
                .add(node.position, Code::BadValue, "no rule survives `sever`")
                .hint("the highest value is `survives: lockdown`");
        }
        Some(survives) if survives >= Posture::Contain => {
            for (name, given) in [("owner", &terms.owner), ("reason", &terms.reason)] {
                if given.is_none() {
                    problems
                        .add(node.position, Code::MissingField, format!("{what} is on the continuity list and needs `{name}`"))
                        .hint("state the owner and the reason: operators need both during an incident");
                }
            }
        }
        _ => {}
    }
    terms
}
