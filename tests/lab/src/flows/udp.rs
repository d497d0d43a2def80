//! UDP: a socket for each client, one for the server.

use std::io;
use std::net::UdpSocket as StdSocket;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::{Context, Phase, enlarge};
use crate::probe::Probe;
use crate::seen::now;

const SERVER_BUFFER: usize = 64 << 20;
const CLIENT_BUFFER: usize = 1 << 20;

/// Opens the server's socket, and answers what serves it.
pub async fn serve(context: Arc<Context>) -> io::Result<JoinSet<()>> {
    let socket = UdpSocket::bind(context.listen()).await?;
    enlarge(&socket, SERVER_BUFFER)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut phase = context.phase.clone();
        let mut message = vec![0; 1 << 16];
        loop {
            let (length, from) = tokio::select! {
                received = socket.recv_from(&mut message) => match received {
                    Ok(received) => received,
                    // What an ICMP error says of an earlier answer.
                    Err(_) => continue,
                },
                _ = phase.wait_for(|phase| *phase == Phase::Ended) => return,
            };
            let message = &message[..length];
            let Some(probe) = Probe::read(message) else {
                continue;
            };
            if let Some(mut tally) = context.tally(probe.flow) {
                tally.arrived(probe);
            }
            if context.flows.answered {
                // An answer that cannot be sent is one that does not come.
                let _ = socket.send_to(message, from).await;
            }
        }
    });
    Ok(tasks)
}

/// Opens the clients' sockets, and answers what sends by them.
pub async fn send(context: Arc<Context>) -> io::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for flow in 0..context.flows.count {
        let socket = StdSocket::bind(context.local())?;
        socket.set_nonblocking(true)?;
        socket.set_broadcast(true)?;
        socket.connect(context.flows.address)?;
        enlarge(&socket, CLIENT_BUFFER)?;
        let socket = UdpSocket::from_std(socket)?;
        if let Some(mut tally) = context.tally(flow) {
            tally.local = Some(socket.local_addr()?);
        }
        tasks.spawn(client(Arc::clone(&context), flow, socket));
    }
    Ok(tasks)
}

async fn client(context: Arc<Context>, flow: u32, socket: UdpSocket) {
    let mut phase = context.phase.clone();
    let mut ticks = context.ticks(flow);
    let mut message = vec![0; context.flows.size];
    let mut answer = vec![0; context.flows.size];
    let mut sending = true;
    loop {
        tokio::select! {
            _ = ticks.tick(), if sending => {
                let Some(mut tally) = context.tally(flow) else { return };
                Probe { flow, number: tally.sent, sent: now() }.write(&mut message);
                // Counted before the server can have it: nothing arrives that was not sent.
                tally.sent += 1;
                if let Err(error) = socket.try_send(&message) {
                    tally.sent -= 1;
                    tally.trouble = Some(error.to_string());
                }
            }
            received = socket.recv(&mut answer) => {
                let Some(mut tally) = context.tally(flow) else { return };
                match received.map(|length| Probe::read(&answer[..length])) {
                    Ok(Some(probe)) => tally.echoed(probe),
                    Ok(None) => {}
                    Err(error) => tally.trouble = Some(error.to_string()),
                }
            }
            changed = phase.changed() => {
                let now = *phase.borrow_and_update();
                if changed.is_err() || now == Phase::Ended {
                    return;
                }
                sending = now == Phase::Sending;
            }
        }
    }
}
