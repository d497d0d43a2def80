//! Each call is made by a caller of each role.

use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::super::admission::Admissions;
use super::*;

async fn status_of(served: &Served, role: Role, method: &str, path: &str, body: &str) -> u16 {
    let directory = served.directory.path();
    let observed = Arc::new(Observed::new(directory, Arc::clone(&served.gateway.clock)));
    let app = App::new(Arc::clone(&served.gateway), observed, served.events.clone());
    let (admission, _) = Admissions::new(1).add(7);
    let router = app
        .router()
        .layer(Extension(Caller(7)))
        .layer(Extension(Access::with_role(role)))
        .layer(Extension(Streaming::default()))
        .layer(Extension(admission));
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::from(body.to_owned())).expect("is valid");
    let answer = TowerToHyperService::new(router).call(request).await;
    let answer = answer.expect("answers");
    let status = answer.status().as_u16();
    if status == 403 {
        let body = to_bytes(answer.into_body(), MAX_BODY_BYTES).await;
        let failure: Failure =
            serde_json::from_slice(&body.expect("is read")).expect("has the shape");
        assert_eq!(failure.code, FailureCode::Forbidden);
        assert!(failure.message.contains(&format!("you have `{role}`")));
        let hint = failure.hint.expect("has one");
        assert!(hint.contains("`engineers`"), "{hint}");
    }
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_makes_its_calls_and_no_others() {
    let served = Served::start(LIMITS);
    let _: Applied = of(served.apply().await);
    let quarantine = contain().to_string();
    let release =
        json!({"kind": "release", "scope": "site", "posture": "normal", "reason": "a test"});
    let release = release.to_string();
    let policy = serde_json::to_string(&Apply {
        sources: policy_a(),
        confirm_seconds: None,
    });
    let policy = policy.expect("is JSON");
    let question = json!({"from": "ct", "to": "us", "service": "dicom"}).to_string();
    let [none, look, contain, all] = [Role::None, Role::Look, Role::Contain, Role::All];
    for (method, path, body, least) in [
        ("GET", "/v1/status", "", look),
        ("GET", "/v1/devices", "", look),
        ("GET", "/v1/rules", "", look),
        ("GET", "/v1/flows", "", look),
        ("GET", "/v1/observed", "", look),
        ("GET", "/v1/events", "", look),
        ("GET", "/v1/orders", "", look),
        ("POST", "/v1/explain", question.as_str(), look),
        ("POST", "/v1/orders", quarantine.as_str(), contain),
        ("POST", "/v1/orders", release.as_str(), all),
        ("POST", "/v1/policy", policy.as_str(), all),
        ("POST", "/v1/policy/confirm", "", all),
    ] {
        for role in [none, look, contain, all] {
            let posture = served.machine.kernel.posture();
            let status = status_of(&served, role, method, path, body).await;
            assert_eq!(
                status == 403,
                role < least,
                "{method} {path} by {role}: {status}"
            );
            if status == 403 {
                assert_eq!(served.machine.kernel.posture(), posture, "{path} by {role}");
            }
        }
    }
    assert_eq!(served.machine.kernel.posture(), 0, "released by all");
}
