//! UDP flows: a socket for each client, one for the server.

use std::io;
use std::net::UdpSocket as StdSocket;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::Phase;
use super::side::{Context, enlarge};
use crate::captured_frame::now;
use crate::probe::Probe;

const SERVER_BUFFER: usize = 64 << 20;
const CLIENT_BUFFER: usize = 1 << 20;

/// Opens the server's socket. Returns its task.
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
                    // An ICMP error about an earlier reply.
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
                // A reply that cannot be sent counts as unanswered.
                let _ = socket.send_to(message, from).await;
            }
        }
    });
    Ok(tasks)
}

/// Opens the clients' sockets. Returns their tasks.
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
                // Counted before the server can receive it, so that `arrived` never exceeds `sent`.
                tally.sent += 1;
                if let Err(error) = socket.try_send(&message) {
                    tally.sent -= 1;
                    tally.error = Some(error.to_string());
                }
            }
            received = socket.recv(&mut answer) => {
                let Some(mut tally) = context.tally(flow) else { return };
                match received.map(|length| Probe::read(&answer[..length])) {
                    Ok(Some(probe)) => tally.echoed(probe),
                    Ok(None) => {}
                    Err(error) => tally.error = Some(error.to_string()),
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
