//! TCP flows: one connection each, without reconnecting.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::Phase;
use super::side::Context;
use crate::captured_frame::now;
use crate::probe::Probe;

const CONNECT: Duration = Duration::from_secs(10);

/// Opens the server's socket. Returns its tasks.
pub async fn serve(context: Arc<Context>) -> io::Result<JoinSet<()>> {
    let address = context.listen();
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(context.flows.count.max(128))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(context, listener));
    Ok(tasks)
}

async fn accept(context: Arc<Context>, listener: TcpListener) {
    let mut phase = context.phase.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(answer(Arc::clone(&context), stream));
                }
            }
            _ = phase.wait_for(|phase| *phase == Phase::Ended) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Sends back every message of a connection.
async fn answer(context: Arc<Context>, mut stream: TcpStream) {
    let mut phase = context.phase.clone();
    let _ = stream.set_nodelay(true);
    let mut message = vec![0; context.flows.size];
    let mut flow = None;
    let serve = async {
        // Ends when the client closes the connection.
        while stream.read_exact(&mut message).await.is_ok() {
            if let Some(probe) = Probe::read(&message)
                && let Some(mut tally) = context.tally(probe.flow)
            {
                flow = Some(probe.flow);
                tally.arrived(probe);
            }
            if stream.write_all(&message).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = serve => {}
        _ = phase.wait_for(|phase| *phase == Phase::Ended) => {}
    }
    if let Some(mut tally) = flow.and_then(|flow| context.tally(flow)) {
        tally.retransmitted += retransmitted(&stream);
    }
}

/// Starts the clients. Returns their tasks.
pub async fn send(context: Arc<Context>) -> io::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for flow in 0..context.flows.count {
        tasks.spawn(client(Arc::clone(&context), flow));
    }
    Ok(tasks)
}

async fn client(context: Arc<Context>, flow: u32) {
    let ended = match connect(&context, flow).await {
        Ok(mut stream) => {
            let ended = exchange(&context, flow, &mut stream).await;
            if let Some(mut tally) = context.tally(flow) {
                tally.retransmitted += retransmitted(&stream);
            }
            // Close with a RST, so that the connection does not stay in TIME_WAIT.
            let _ = stream.set_zero_linger();
            ended
        }
        Err(error) => Err(error),
    };
    // When the flows end, the server may close first: that is no error.
    let over = *context.phase.borrow() == Phase::Ended;
    if let (Err(error), false, Some(mut tally)) = (ended, over, context.tally(flow)) {
        tally.error = Some(error.to_string());
    }
}

async fn connect(context: &Context, flow: u32) -> io::Result<TcpStream> {
    // Spread the connection attempts as the messages are.
    context.ticks(flow).tick().await;
    let socket = match context.flows.address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.bind(context.local())?;
    let connect = socket.connect(context.flows.address);
    let mut phase = context.phase.clone();
    let stream = tokio::select! {
        connected = tokio::time::timeout(CONNECT, connect) => connected??,
        _ = phase.wait_for(|phase| *phase == Phase::Ended) => {
            return Err(io::ErrorKind::NotConnected.into());
        }
    };
    stream.set_nodelay(true)?;
    if let Some(mut tally) = context.tally(flow) {
        tally.local = Some(stream.local_addr()?);
    }
    Ok(stream)
}

/// Sends messages and reads them back. A message is sent only when the kernel has accepted all of the one before.
async fn exchange(context: &Context, flow: u32, stream: &mut TcpStream) -> io::Result<()> {
    let size = context.flows.size;
    let mut phase = context.phase.clone();
    let mut ticks = context.ticks(flow);
    let (mut reading, mut writing) = stream.split();
    let mut message = vec![0; size];
    let mut written_bytes = size;
    let mut answer = vec![0; size];
    let mut filled = 0;
    let mut sending = true;
    loop {
        tokio::select! {
            _ = ticks.tick(), if sending && written_bytes == size => {
                let Some(mut tally) = context.tally(flow) else { return Ok(()) };
                Probe { flow, number: tally.sent, sent: now() }.write(&mut message);
                tally.sent += 1;
                written_bytes = 0;
            }
            written = writing.write(&message[written_bytes..]), if written_bytes < size => {
                written_bytes += written?;
            }
            read = reading.read(&mut answer[filled..]) => {
                filled += match read? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                };
                if filled == size {
                    filled = 0;
                    if let (Some(probe), Some(mut tally)) = (Probe::read(&answer), context.tally(flow)) {
                        tally.echoed(probe);
                    }
                }
            }
            changed = phase.changed() => {
                let now = *phase.borrow_and_update();
                if changed.is_err() || now == Phase::Ended {
                    return Ok(());
                }
                sending = now == Phase::Sending;
            }
        }
    }
}

/// Number of segments that this end of a connection retransmitted.
fn retransmitted(stream: &TcpStream) -> u64 {
    // SAFETY: all zeroes is a valid `tcp_info`.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as u32;
    // SAFETY: the kernel writes no more than `length` bytes to it.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        u64::from(info.tcpi_total_retrans)
    } else {
        0
    }
}
