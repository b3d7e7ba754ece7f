//! A service's HTTP on a runtime of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::bounded;
use gradcast::secret::Secret;
use gradcast::service::http::{Limits, Listening};
use gradcast::service::{HttpSettings, Operations};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Loopback, a free port, no token unless one is given.
pub fn settings(token: Option<&str>) -> HttpSettings {
    HttpSettings { listen: "127.0.0.1:0".parse().unwrap(), token: token.map(Secret::new) }
}

/// Served until it is dropped.
pub struct Served {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn start(operations: Arc<dyn Operations>, settings: &HttpSettings, limits: Limits) -> gradcast::error::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (opened, address) = bounded(1);
        let settings = settings.clone();
        // In a thread of its own, since tests may have a runtime that must not wait for another.
        let thread = thread::spawn(move || {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            match runtime.block_on(Listening::open(&settings)) {
                Ok(listening) => {
                    opened.send(Ok(listening.address())).expect("who has started it waits");
                    runtime.block_on(listening.with_limits(limits).serve(operations, async { drop(stopped.await) }));
                }
                Err(error) => opened.send(Err(error)).expect("who has started it waits"),
            }
        });
        let address = address.recv().expect("it opens or says why not")?;
        Ok(Served { address, stop: Some(stop), thread: Some(thread) })
    }

    pub fn new(operations: Arc<dyn Operations>, token: Option<&str>) -> Self {
        Served::start(operations, &settings(token), Limits::default()).expect("a free port")
    }

    /// Ends it and waits until it has.
    pub fn stop(mut self) {
        self.end();
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("serving goes on");
        }
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there fails the test that sees its effect.
            let _ = thread.join();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}
