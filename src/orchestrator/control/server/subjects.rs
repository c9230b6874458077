//! What the operations of the control API are about: the tags of the `OpenAPI` document, and the
//! chapters of `docs/api.md`.

use super::routes::Route;

/// One subject.
#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    /// In whole sentences.
    pub about: &'static str,
    /// What the paths of its operations begin with.
    paths: &'static [&'static str],
}

/// Every subject, in the order in which somebody needs them who writes a client.
pub static SUBJECTS: &[Subject] = &[
    Subject {
        name: "Where it stands",
        about: "What a client reads before it writes.",
        paths: &["/v1/state"],
    },
    Subject {
        name: "The lease",
        about: "One holder at a time changes an orchestrator. It proves that it is the holder with a \
                fence, which every write carries.",
        paths: &["/v1/lease"],
    },
    Subject {
        name: "Revisions",
        about: "A change is a whole new document. It is provisional, in force and reverted by itself, \
                until it is confirmed; one provisional revision at a time.",
        paths: &["/v1/revisions", "/v1/operations"],
    },
    Subject {
        name: "Guards and asks",
        about: "While a phase is in flight its guards are armed: the orchestrator judges them, and \
                takes the phase back by itself.",
        paths: &["/v1/guards", "/v1/asks"],
    },
    Subject {
        name: "Measurements",
        about: "What the orchestrator measures of itself and of what it serves.",
        paths: &["/v1/metrics", "/metrics", "/v1/shadow", "/v1/extensions", "/v1/health"],
    },
    Subject {
        name: "The inbox",
        about: "Events that were acknowledged and wait for a handler, and those that no handler took.",
        paths: &["/v1/inbox"],
    },
    Subject {
        name: "Maintenance",
        about: "Copies for backups, the audit chain, and the end of a migration.",
        paths: &["/v1/audit", "/v1/database", "/v1/cache", "/v1/legacy"],
    },
    Subject {
        name: "Probes",
        about: "For load balancers, service managers and generators of clients.",
        paths: &["/livez", "/readyz", "/openapi.json"],
    },
];

/// What a route is about.
pub fn subject(route: &Route) -> &'static Subject {
    let is = |subject: &&Subject| subject.paths.iter().any(|path| begins(route.path, path));
    SUBJECTS.iter().find(is).expect("every route has a subject")
}

/// Whether `path` is `begin`, or below it.
fn begins(path: &str, begin: &str) -> bool {
    path.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::routes::ROUTES;
    use super::*;

    #[test]
    fn every_route_has_one_subject_and_every_subject_has_routes() {
        for route in ROUTES {
            let all = SUBJECTS.iter().flat_map(|subject| subject.paths);
            assert_eq!(all.filter(|path| begins(route.path, path)).count(), 1, "{route:?}");
        }
        for subject in SUBJECTS {
            let own = ROUTES.iter().any(|route| self::subject(route).name == subject.name);
            assert!(own, "{subject:?}");
        }
    }
}
