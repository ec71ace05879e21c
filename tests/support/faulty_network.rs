//! A relay between a client and a server that does harm at a chosen frame.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use neo4j_admin::catchup::message::{Body, FileHeader, ResponseKind};
use rustix::net::sockopt::set_socket_linger;

/// What happens to the frames that a server sends. They are counted over all connections, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection is closed behind frame `n`, once: later connections work.
    CutOnce(usize),
    /// The connection is closed behind frame `n`, and so is every other from then on.
    CutForever(usize),
    /// Every connection is closed, and so is every other from then on, as soon as so many bytes have passed.
    CutBehindBytes(u64),
    /// Half of frame `n` arrives, then the connection is closed; later connections work.
    CutInside(usize),
    /// The connection is reset behind frame `n`, as by a machine that has forgotten it; later connections work.
    Reset(usize),
    /// Nothing comes behind frame `n`, on no connection, and none is closed.
    Silence(usize),
    /// The length of frame `n` is replaced.
    Length(usize, i32),
}

/// A relay; it stops when this is dropped.
pub struct FaultyNetwork {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: SocketAddr,
    fault: Fault,
    frames: AtomicUsize,
    bytes: AtomicU64,
    complete: Mutex<Vec<String>>,
    ended: Mutex<bool>,
    end: Condvar,
}

/// What comes over a connection.
#[derive(Default)]
struct Watched {
    /// The last frame was a type byte.
    kind: Option<ResponseKind>,
    /// The file that came last in the answer that goes on.
    path: Option<String>,
}

const MAGIC: usize = 13;

impl FaultyNetwork {
    pub fn before(server: SocketAddr, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            server,
            fault,
            frames: AtomicUsize::default(),
            bytes: AtomicU64::default(),
            complete: Mutex::default(),
            ended: Mutex::default(),
            end: Condvar::new(),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if *shared.ended.lock().unwrap() {
                    break;
                }
                let (client, state) = (client.unwrap(), shared.clone());
                std::thread::spawn(move || state.relay(&client));
            }
        });
        Self { address, state }
    }

    /// Frames that the server has sent so far.
    pub fn frames(&self) -> usize {
        self.state.frames.load(Ordering::SeqCst)
    }

    /// Bytes of all frames that were passed on as a whole.
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }

    /// Files that were asked for and passed on as a whole, with the word of the server that they are.
    pub fn complete(&self) -> Vec<String> {
        self.state.complete.lock().unwrap().clone()
    }
}

impl Drop for FaultyNetwork {
    fn drop(&mut self) {
        *self.state.ended.lock().unwrap() = true;
        self.state.end.notify_all();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    /// Whether frame `number` is one that nobody gets.
    fn is_cut(&self, number: usize) -> bool {
        match self.fault {
            Fault::CutForever(n) => number > n,
            Fault::CutBehindBytes(n) => self.bytes.load(Ordering::SeqCst) >= n,
            _ => false,
        }
    }

    fn relay(&self, client: &TcpStream) {
        if self.is_cut(self.frames.load(Ordering::SeqCst)) {
            return;
        }
        let server = TcpStream::connect(self.server).unwrap();
        for stream in [client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = io::copy(&mut &*client, &mut &server);
                let _ = server.shutdown(Shutdown::Write);
            });
            // An error is the end of one of the two; both are closed then.
            let how = self.relay_answers(&server, client).unwrap_or(Shutdown::Both);
            let _ = client.shutdown(how);
            let _ = server.shutdown(Shutdown::Both);
        });
    }

    /// Returns what of the connection to the client is to be shut before it is closed.
    fn relay_answers(&self, mut server: &TcpStream, mut client: &TcpStream) -> io::Result<Shutdown> {
        let mut magic = [0; MAGIC];
        server.read_exact(&mut magic)?;
        client.write_all(&magic)?;
        let mut watched = Watched::default();
        loop {
            let mut head = [0; 4];
            server.read_exact(&mut head)?;
            let mut frame = vec![0; u32::from_be_bytes(head) as usize];
            server.read_exact(&mut frame)?;
            let number = self.frames.fetch_add(1, Ordering::SeqCst);
            match self.fault {
                Fault::CutInside(n) if n == number => {
                    let whole = [&head[..], &frame].concat();
                    client.write_all(&whole[..whole.len() / 2])?;
                    return Ok(Shutdown::Both);
                }
                _ if self.is_cut(number) => return Ok(Shutdown::Both),
                Fault::Silence(n) if number > n => {
                    let ended = self.ended.lock().unwrap();
                    drop(self.end.wait_while(ended, |ended| !*ended).unwrap());
                    return Ok(Shutdown::Both);
                }
                Fault::Length(n, length) if n == number => head = length.to_be_bytes(),
                _ => {}
            }
            client.write_all(&[&head[..], &frame].concat())?;
            self.bytes.fetch_add((head.len() + frame.len()) as u64, Ordering::SeqCst);
            self.complete.lock().unwrap().extend(watched.frame(&frame));
            match self.fault {
                Fault::CutOnce(n) | Fault::CutForever(n) if n == number => return Ok(Shutdown::Both),
                Fault::Reset(n) if n == number => {
                    // Closing throws away what was not sent, and says so with a reset instead of an end.
                    set_socket_linger(client, Some(Duration::ZERO))?;
                    return Ok(Shutdown::Read);
                }
                _ => {}
            }
        }
    }
}

impl Watched {
    /// Returns the file that is complete with this frame.
    fn frame(&mut self, frame: &[u8]) -> Option<String> {
        match self.kind.take() {
            Some(ResponseKind::File) => {
                self.path = FileHeader::from_payload(frame).ok().map(|header| header.path);
                None
            }
            Some(ResponseKind::StoreCopyFinished) => self.path.take(),
            Some(_) => None,
            None => {
                // No other frame is that short.
                let [kind] = frame else { return None };
                self.kind = ResponseKind::from_byte(*kind);
                None
            }
        }
    }
}
