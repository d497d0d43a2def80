//! The event stream.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn events_are_streamed_as_lines_until_the_subscriber_disconnects() {
    let limits = Limits {
        calls: 16,
        head: Duration::from_millis(100),
        call: Duration::from_millis(100),
        ..Limits::new(16)
    };
    let served = Served::start(limits);
    let mut stream = BufReader::new(served.connect().await);
    stream
        .write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("writes");
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.expect("reads");
    }
    for number in 0..4 {
        // Longer in all than the limit of other calls.
        tokio::time::sleep(Duration::from_millis(60)).await;
        served
            .events
            .send(Bytes::from(format!("{{\"n\":{number}}}\n")))
            .expect("listens");
        loop {
            line.clear();
            assert_ne!(
                stream.read_line(&mut line).await.expect("reads"),
                0,
                "the stream continues"
            );
            if line.contains("\"n\"") {
                break;
            }
        }
        assert_eq!(line.trim(), format!("{{\"n\":{number}}}"));
    }
    drop(stream);
    served.wait_for_no_listeners().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_disconnects_is_removed_whatever_it_has_sent() {
    let served = Served::start(LIMITS);
    for rest in [
        "\r\n",
        "\r\nGET /v1/status HTTP/1.1\r\n",
        "content-length: 50\r\n\r\nhalf",
        "transfer-encoding: chunked\r\n\r\n5\r\nha",
    ] {
        let mut stream = BufReader::new(served.connect().await);
        let head = "GET /v1/events HTTP/1.1\r\nhost: x\r\n";
        stream
            .write_all(format!("{head}{rest}").as_bytes())
            .await
            .expect("writes");
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("reads");
        assert!(line.contains("200"), "{line}");
        drop(stream);
        served.wait_for_no_listeners().await;
    }
}
