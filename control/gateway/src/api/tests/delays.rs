//! Slow callers and long calls do not delay others.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_stall_are_disconnected_and_do_not_delay_others() {
    let limits = Limits {
        calls: 3,
        head: Duration::from_millis(200),
        call: Duration::from_millis(400),
        ..Limits::new(3)
    };
    let served = Served::start(limits);
    let _: Applied = of(served.apply().await);
    // One sends nothing, one a partial head, one a head and a partial body: as many as the limit.
    let mut stalled = Vec::new();
    for request in [
        "",
        "GET /v1/st",
        "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let mut stream = served.connect().await;
        stream.write_all(request.as_bytes()).await.expect("writes");
        stalled.push(stream);
    }
    let order = async { served.post("/v1/orders", &contain()).await };
    let order = tokio::time::timeout(Duration::from_secs(5), order);
    let _: Order = of(order.await.expect("is not delayed"));
    for mut stream in stalled {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
        let _ = closed.await.expect("is disconnected");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_and_silent_connections_do_not_delay_others() {
    // The time limits are longer than this test waits.
    let served = Served::start(Limits::new(2));
    let _: Applied = of(served.apply().await);
    let mut held = Vec::new();
    for request in ["GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n", "GET /v1/st"] {
        for _ in 0..4 {
            let mut stream = served.connect().await;
            stream.write_all(request.as_bytes()).await.expect("writes");
            held.push(stream);
        }
    }
    let order = async { served.post("/v1/orders", &contain()).await };
    let order = tokio::time::timeout(Duration::from_secs(5), order);
    let _: Order = of(order.await.expect("is not delayed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_taken_while_a_policy_is_compiled() {
    let served = Served::start(LIMITS);
    let _: Applied = of(served.apply().await);
    let gateway = Arc::clone(&served.gateway);
    let (compiling, started) = std::sync::mpsc::channel();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let compile = std::thread::spawn(move || {
        gateway.while_compiling(|| {
            compiling.send(()).expect("waits");
            let _ = wait.recv();
        });
    });
    started.recv().expect("compiles");
    let order = async { served.post("/v1/orders", &contain()).await };
    let order = tokio::time::timeout(Duration::from_secs(5), order);
    let _: Order = of(order.await.expect("is not delayed"));
    done.send(()).expect("waits");
    compile.join().expect("ends");
}

/// Two hundred connections of one user that never end their requests, as many complete calls as may run, and an engine
/// that readers always want: the same user's order is taken at once.
#[tokio::test(flavor = "multi_thread")]
async fn no_calls_of_a_user_take_the_place_of_its_orders() {
    let served = Served::start(Limits::new(4));
    let _: Applied = of(served.apply().await);
    let mut held = Vec::new();
    for (number, request) in [
        (100, "GET /v1/st"),
        (
            200,
            "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
        ),
    ] {
        for _ in 0..number {
            let mut stream = served.connect().await;
            stream.write_all(request.as_bytes()).await.expect("writes");
            held.push(stream);
        }
    }
    let order = async { served.post("/v1/orders", &contain()).await };
    let order = tokio::time::timeout(Duration::from_secs(5), order);
    let _: Order = of(order.await.expect("is not delayed"));
    let status = tokio::time::timeout(Duration::from_secs(5), served.get("/v1/status"));
    let _: Status = of(status.await.expect("is not delayed"));
    // The first that were opened made room for the last.
    let mut closed = String::new();
    held[0].read_to_string(&mut closed).await.expect("is text");
    assert!(closed.starts_with("HTTP/1.1 503"), "{closed}");

    // Complete calls that wait: the engine is held.
    let gateway = Arc::clone(&served.gateway);
    let (locked, started) = std::sync::mpsc::channel();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let _engine = gateway.engine();
        locked.send(()).expect("waits");
        let _ = wait.recv();
    });
    started.recv().expect("holds it");
    let mut statuses = Vec::new();
    for _ in 0..30 {
        let mut stream = served.connect().await;
        stream
            .write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .expect("writes");
        statuses.push(stream);
    }
    // More than may be complete: the rest is refused at once.
    let mut refused = String::new();
    let read = statuses[29].read_to_string(&mut refused);
    let read = tokio::time::timeout(Duration::from_secs(5), read).await;
    read.expect("is refused").expect("is text");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let lockdown =
        json!({"kind": "quarantine", "scope": "site", "posture": "lockdown", "reason": "a test"});
    let order = served.post("/v1/orders", &lockdown);
    let freed = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        done.send(()).expect("waits");
    };
    let both = async { tokio::join!(order, freed).0 };
    let order = tokio::time::timeout(Duration::from_secs(5), both);
    let _: Order = of(order.await.expect("waits for the holder only"));
    holder.join().expect("ends");
}
