//! What goes against the system, by the scenario. The rates of single requests and operations are where those are
//! carried out.

use tidewire_core::io::Input;
use tidewire_core::limits::LOG_LOOK_MS;

use crate::device::Device;
use crate::disk::Disk;
use crate::scenario::{Action, DeviceSetup};
use crate::world::{Event, Lasting, World};

/// Devices that a clone may bring it to.
const DEVICES_MAX: usize = 7;

impl World {
    pub(crate) fn act(&mut self, index: usize) {
        let Some(timed) = self.scenario.actions.get(index) else { return };
        let action = timed.action.clone();
        if action.is_fault() { self.inject(&action) } else { self.use_it(&action) }
    }

    fn inject(&mut self, action: &Action) {
        let count = self.devices.len();
        match *action {
            Action::OpenTab { device } => self.open_another(device % count),
            Action::CloseTab { device, tab } => self.leave(device % count, tab),
            Action::KillTab { device, tab } => self.kill_one(device % count, tab),
            Action::KillBrowser { device, for_ms } => {
                for tab in self.live_tabs(device % count) {
                    self.kill(tab);
                }
                self.last(for_ms, Lasting::Browser(device % count));
            }
            Action::Freeze { device, tab, for_ms } => self.freeze(device % count, tab, for_ms),
            Action::Offline { device, for_ms } => self.go_offline(device % count, for_ms),
            Action::BlackHole { device, up, down, for_ms } => {
                let index = device % count;
                let device = &mut self.devices[index];
                (device.hole_up, device.hole_down) = (device.hole_up || up, device.hole_down || down);
                device.spells += 1;
                let spell = Lasting::Hole(index, device.spells);
                self.last(for_ms, spell);
            }
            Action::CutChannel { device } => {
                for tab in self.live_tabs(device % count) {
                    self.cut_socket(tab, 1006);
                }
            }
            Action::Jump { device, by_ms } => self.devices[device % count].offset_ms += by_ms,
            Action::Wipe { device } => {
                self.wipe(device % count, Disk::delete);
                // The browser closes its connections, and the shell looks at once what is there.
                for tab in self.live_tabs(device % count) {
                    self.queue.plan(self.now_us + 1, Event::Tab(tab, Input::Visible(true)));
                }
            }
            Action::Clear { device } => self.wipe(device % count, Disk::clear),
            Action::Clone { device } => self.clone_device(device % count),
            Action::Worker { device, for_ms } => self.wake_worker(device % count, for_ms),
            Action::PowerLoss { device, for_ms } => self.lose_power(device % count, for_ms),
            Action::Flip { device, pick } => self.flip(device % count, pick),
            Action::Poison { device, tab, pick } => self.poison(device, tab, pick),
            _ => self.inject_at_server(action),
        }
        self.labels.see(label(action));
    }

    fn inject_at_server(&mut self, action: &Action) {
        match action {
            Action::ServerDown { for_ms } => {
                let until = self.now_us + for_ms * 1_000;
                self.server_down = Some(self.server_down.unwrap_or_default().max(until));
                self.cut_all();
                self.last(*for_ms, Lasting::Server(until));
            }
            Action::Regroup { user, team, is_in } => self.regroup(*user, *team, *is_in),
            Action::Prune => self.server.prune(),
            Action::Meddle { pick } => self.server.meddle(*pick),
            Action::Backup => self.server.back_up(),
            Action::Restore if self.server.restore() => {
                self.labels.see("restored");
                self.oracle.restored();
                self.cut_all();
            }
            Action::ReleaseApp => self.release_app(),
            Action::ReleaseServer => self.release_server(),
            Action::Policy => {
                self.server.change_policy();
                self.cut_all();
            }
            _ => {}
        }
    }

    fn last(&mut self, for_ms: u64, what: Lasting) {
        self.queue.plan(self.now_us + for_ms * 1_000, Event::Over(what));
    }

    /// What lasted some time is over.
    pub(crate) fn end(&mut self, what: Lasting) {
        match what {
            Lasting::Freeze(tab) => self.thaw(tab),
            Lasting::Worker(tab) if self.tabs[tab].alive => self.kill(tab),
            Lasting::Browser(device) if self.staying_tabs(device).is_empty() => self.open_tab(device),
            Lasting::Offline(device, spell) if self.devices[device].spells == spell => self.go_online(device),
            Lasting::Hole(device, spell) if self.devices[device].spells == spell => {
                (self.devices[device].hole_up, self.devices[device].hole_down) = (false, false);
            }
            Lasting::Server(until) if self.server_down == Some(until) => self.server_down = None,
            _ => {}
        }
    }

    /// All faults are over, for good.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.release_all();
        self.server_down = None;
        for device in 0..self.devices.len() {
            (self.devices[device].hole_up, self.devices[device].hole_down) = (false, false);
            if !self.devices[device].online {
                self.go_online(device);
            }
            for tab in self.live_tabs(device) {
                self.thaw(tab);
                if self.tabs[tab].refused.is_some() || self.tabs[tab].is_worker {
                    self.kill(tab);
                }
            }
            if self.staying_tabs(device).is_empty() {
                self.open_tab(device);
            }
        }
    }

    fn open_another(&mut self, device: usize) {
        if self.live_tabs(device).len() < 3 {
            self.open_tab(device);
        }
    }

    /// A device whose last tab is gone is opened again some time later.
    fn come_back(&mut self, device: usize) {
        if self.staying_tabs(device).is_empty() {
            let after = self.devices[device].random.between(10, 5_000);
            self.last(after, Lasting::Browser(device));
        }
    }

    fn kill_one(&mut self, device: usize, tab: usize) {
        let tabs = self.live_tabs(device);
        if let Some(tab) = tabs.get(tab % tabs.len().max(1)) {
            self.kill(*tab);
            self.come_back(device);
        }
    }

    fn leave(&mut self, device: usize, tab: usize) {
        let tabs = self.ready_tabs(device);
        if let Some(tab) = tabs.get(tab % tabs.len().max(1)) {
            self.close(*tab);
            let after = self.devices[device].random.between(100, 5_000);
            self.last(after, Lasting::Browser(device));
        }
    }

    fn freeze(&mut self, device: usize, tab: usize, for_ms: u64) {
        let tabs: Vec<usize> = self.live_tabs(device).into_iter().filter(|tab| self.tabs[*tab].runs()).collect();
        let Some(tab) = tabs.get(tab % tabs.len().max(1)).copied() else { return };
        // The browser closes the channel of a frozen tab, which hears of it when it runs again.
        let closed = self.tabs[tab].socket.take().map(|socket| Input::SocketClosed { token: socket.token, code: 1006 });
        self.tabs[tab].frozen = Some(closed.into_iter().collect());
        self.last(for_ms, Lasting::Freeze(tab));
    }

    fn go_offline(&mut self, device: usize, for_ms: u64) {
        self.devices[device].online = false;
        self.devices[device].spells += 1;
        for tab in self.live_tabs(device) {
            self.cut_socket(tab, 1006);
            self.tell(tab, Input::Online(false));
        }
        self.last(for_ms, Lasting::Offline(device, self.devices[device].spells));
    }

    fn go_online(&mut self, device: usize) {
        self.devices[device].online = true;
        for tab in self.live_tabs(device) {
            self.tell(tab, Input::Online(true));
        }
    }

    pub(crate) fn cut_all(&mut self) {
        for tab in 0..self.tabs.len() {
            if self.tabs[tab].alive {
                self.cut_socket(tab, 1012);
            }
        }
    }

    /// A service worker is a tab that nobody sees: it drains while it may.
    fn wake_worker(&mut self, device: usize, for_ms: u64) {
        self.open_tab(device);
        let tab = self.tabs.len() - 1;
        self.tabs[tab].is_worker = true;
        self.last(for_ms, Lasting::Worker(tab));
    }

    fn lose_power(&mut self, device: usize, for_ms: u64) {
        for tab in self.live_tabs(device) {
            self.kill(tab);
        }
        for tab in self.tabs_of(device) {
            self.tabs[tab].unplugged = true;
        }
        if self.devices[device].disk.lose_power() {
            self.labels.see("lost with the power");
        }
        self.last(for_ms, Lasting::Browser(device));
    }

    fn wipe(&mut self, device: usize, how: fn(&mut Disk)) {
        // Of a store that nobody has open nothing is left anywhere.
        if self.ready_tabs(device).is_empty() {
            return;
        }
        how(&mut self.devices[device].disk);
        self.devices[device].leads.clear();
        self.devices[device].wiped = Some((self.now_us, self.tabs.len()));
        let tabs = self.tabs_of(device);
        self.oracle.wiped(&tabs);
        // What a tab wrote whose message was lost, and which died, was in the store alone until somebody looked there.
        if self.scenario.setup.rates.message_lost > 0 {
            let dead: Vec<usize> = tabs.iter().copied().filter(|tab| !self.tabs[*tab].alive).collect();
            self.oracle.forget_since(&dead, self.now_us.saturating_sub(LOG_LOOK_MS * 1_000));
        }
        // What it was about to bring back to a restored server is lost with its journal.
        if self.labels.count("restored") > 0 {
            self.oracle.forget(&tabs);
        }
    }

    /// What a device alone knew may be gone: that is said.
    fn flip(&mut self, device: usize, pick: usize) {
        if self.devices[device].disk.flip(pick) {
            self.labels.see("flipped");
            self.oracle.forget(&self.tabs_of(device));
        }
    }

    fn clone_device(&mut self, device: usize) {
        if self.devices.len() >= DEVICES_MAX || self.devices[device].disk.is_empty() {
            return;
        }
        let Device { user, offset_ms, drift_ppm, version, sent, ref disk, .. } = self.devices[device];
        let disk = disk.clone();
        // No two machines show the same millisecond for long.
        let offset_ms = offset_ms + self.random.between(1, 500) as i64;
        let setup = DeviceSetup { user, tabs: 1, offset_ms, drift_ppm };
        let index = self.devices.len();
        let mut copy = Device::new(&setup, self.scenario.seed, index);
        (copy.disk, copy.version, copy.sent) = (disk, version, sent);
        self.devices.push(copy);
        self.open_tab(index);
    }
}

fn label(action: &Action) -> &'static str {
    match action {
        Action::OpenTab { .. } => "tab opened",
        Action::CloseTab { .. } => "tab closed",
        Action::KillTab { .. } => "tab killed",
        Action::KillBrowser { .. } => "browser killed",
        Action::Freeze { .. } => "tab frozen",
        Action::Offline { .. } => "offline",
        Action::BlackHole { .. } => "black hole",
        Action::CutChannel { .. } => "channel of a device cut",
        Action::Jump { .. } => "clock jumped",
        Action::ServerDown { .. } => "server down",
        Action::Prune => "pruned",
        Action::Backup => "backed up",
        Action::Restore => "restore",
        Action::Wipe { .. } => "wiped",
        Action::Clear { .. } => "cleared",
        Action::Clone { .. } => "cloned",
        Action::Policy => "policy changed",
        Action::ReleaseApp | Action::ReleaseServer => "release",
        Action::Worker { .. } => "service worker",
        Action::PowerLoss { .. } => "power lost",
        Action::Meddle { .. } => "meddled",
        Action::Flip { .. } => "flip",
        Action::Regroup { .. } => "regrouped",
        Action::Poison { .. } => "poisoned",
        _ => "use",
    }
}
