//! Detects that the caller of an event stream has disconnected. hyper does not read while data of the caller lies
//! unread, such as a body that the call does not use, so an event stream would keep its permit forever.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sync::lock;

/// A stream shared by the server and the disconnect detection. Both must run in one task, because the stream wakes one
/// task.
pub struct SharedStream<S>(Arc<Mutex<S>>);

impl<S> Clone for SharedStream<S> {
    fn clone(&self) -> SharedStream<S> {
        SharedStream(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + Unpin> SharedStream<S> {
    /// Shares a stream.
    pub fn new(stream: S) -> SharedStream<S> {
        SharedStream(Arc::new(Mutex::new(stream)))
    }

    /// Reads and discards what the caller sends until it disconnects. While `when` is false, leaves reading to the
    /// server.
    pub async fn closed_by_peer(mut self, when: impl Fn() -> bool) {
        poll_fn(|context| {
            while when() {
                let mut bytes = [0; 1024];
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = ready!(Pin::new(&mut self).poll_read(context, &mut buffer));
                if read.is_err() || buffer.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    }
}

impl<S> SharedStream<S> {
    fn stream(&self) -> MutexGuard<'_, S> {
        lock(&self.0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SharedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SharedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(context)
    }
}
