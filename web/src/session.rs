//! Models made ready for a device.

use crate::device::{self, Device};
use crate::error::{failure, with_kind};
use crate::given::{Given, give};
use birnn::{Outputs, Pending};
use js_sys::{Array, Promise};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

/// A model made ready for a device.
///
/// What needs the session itself, and returns a promise, has it until the promise is settled.
/// `birnn.js` sees to it that such calls come one after the other.
#[wasm_bindgen]
pub struct Session {
    place: Rc<RefCell<Idle>>,
}

/// Where the session is while no call has it.
struct Idle {
    session: Option<birnn::Session>,
    /// Whether devices take over from one that is lost.
    recovers: bool,
    disposed: bool,
}

/// A call that was started.
#[wasm_bindgen]
pub struct Call {
    started: Started,
    place: Rc<RefCell<Idle>>,
}

enum Started {
    Pending(Box<Pending>),
    Done(Outputs),
}

impl Session {
    pub fn new(session: birnn::Session) -> Session {
        let place = Idle { session: Some(session), recovers: false, disposed: false };
        Session { place: Rc::new(RefCell::new(place)) }
    }
}

/// Takes the session for a call.
fn take(place: &RefCell<Idle>) -> Result<birnn::Session, JsValue> {
    let gone = || with_kind("Disposed", "the session was disposed of");
    place.borrow_mut().session.take().ok_or_else(gone)
}

/// Gives the session back, unless it was disposed of meanwhile.
fn give_back(place: &RefCell<Idle>, session: birnn::Session) {
    let mut place = place.borrow_mut();
    if !place.disposed {
        place.session = Some(session);
    }
}

#[wasm_bindgen]
impl Session {
    /// Starts a call; the promise is of a `Call`.
    pub fn start(&self, given: Given) -> Promise {
        let place = self.place.clone();
        future_to_promise(async move {
            let inputs = given.inputs()?;
            let recovers = place.borrow().recovers;
            let mut session = take(&place)?;
            // Only what waits for the outputs can make a call again.
            let started = match recovers {
                true => session.run_async(inputs).await.map(Started::Done),
                false => {
                    let pending = session.submit_async(inputs).await;
                    pending.map(|pending| Started::Pending(Box::new(pending)))
                }
            };
            give_back(&place, session);
            let started = started.map_err(|error| failure(&error))?;
            Ok(Call { started, place }.into())
        })
    }

    /// Makes stateful layers start from zeros.
    pub fn reset_states(&self) {
        if let Some(session) = &mut self.place.borrow_mut().session {
            session.reset_states();
        }
    }

    /// Which devices take over from one that is lost.
    pub fn recover_with(&self, devices: Vec<String>) {
        let mut place = self.place.borrow_mut();
        place.recovers = !devices.is_empty();
        let open = |name: String| device::options(&name);
        if let Some(session) = &mut place.session {
            session.recover_with(devices.into_iter().map(open));
        }
    }

    /// Builds the session again on a device.
    pub fn rebuild(&self, device: &Device) -> Promise {
        let (place, device) = (self.place.clone(), device.device.clone());
        future_to_promise(async move {
            let mut session = take(&place)?;
            let rebuilt = session.rebuild_async(&device).await;
            give_back(&place, session);
            rebuilt.map_err(|error| failure(&error))?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// The description of its device, in JSON; none while a call has the session.
    pub fn device(&self) -> Option<String> {
        let place = self.place.borrow();
        let session = place.session.as_ref()?;
        Some(device::info(session.device_info()).to_string())
    }

    /// Gives its memory back, at the latest when the call that has it is done.
    pub fn dispose(&self) {
        let mut place = self.place.borrow_mut();
        place.disposed = true;
        place.session = None;
    }
}

#[wasm_bindgen]
impl Call {
    /// Waits for the outputs. The promise is of an array that has for each of the model's outputs
    /// its values and its shape, one after the other.
    pub fn finish(self) -> Promise {
        future_to_promise(async move {
            let outputs = match self.started {
                Started::Pending(pending) => (*pending).await.map_err(|error| failure(&error))?,
                Started::Done(outputs) => outputs,
            };
            let list = Array::new();
            outputs.list().iter().for_each(|output| give(&list, &output.array.view()));
            if let Some(session) = &mut self.place.borrow_mut().session {
                session.recycle(outputs);
            }
            Ok(list.into())
        })
    }
}
