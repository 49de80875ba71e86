//! What holds whatever happens, in whichever order.

use proptest::prelude::*;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A stream comes with a token.
    Ask(u16),
    /// One of the reviews under way ends like this.
    Review(usize, End),
    /// A stream goes.
    Drop(usize),
    /// Milliseconds pass.
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Accepted,
    Refused,
    Away,
    Error,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Accepted),
        3 => Just(End::Refused),
        1 => Just(End::Away),
        1 => Just(End::Error),
    ];
    let time = prop_oneof![0..50_u64, 1000..20_000_u64, 200_000..400_000_u64];
    prop_oneof![
        4 => (0..8_u16).prop_map(Step::Ask),
        4 => (0..3_usize, end).prop_map(|(which, end)| Step::Review(which, end)),
        1 => (0..4_usize).prop_map(Step::Drop),
        2 => time.prop_map(Step::Wait),
    ]
}

/// Small enough to be reached.
fn tight() -> Limits {
    Limits {
        in_flight: 3,
        burst: 4,
        each: Duration::from_millis(20),
        waiting: 4,
        askers: 6,
        accepted: 4,
        refused: 2,
        ..Limits::default()
    }
}

/// What a test knows beside the broker.
struct Model {
    scene: Scene,
    under_way: Vec<Token>,
    begun: Vec<Instant>,
    /// Who waits, and for which token.
    waiting: BTreeMap<usize, u16>,
    held: Vec<(u16, Arc<Account>)>,
    /// How often in a row a token was refused, failures not counted.
    refusals: BTreeMap<u16, u32>,
}

impl Model {
    fn new() -> Model {
        Model {
            scene: Scene::new(tight()),
            under_way: Vec::new(),
            begun: Vec::new(),
            waiting: BTreeMap::new(),
            held: Vec::new(),
            refusals: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Ask(number) => {
                self.scene.ask(number);
                self.waiting.insert(self.scene.askers, number);
            }
            Step::Review(which, end) if which < self.under_way.len() => {
                let token = self.under_way.remove(which);
                self.end(&token, end);
            }
            Step::Drop(which) if which < self.held.len() => drop(self.held.remove(which)),
            Step::Wait(milliseconds) => self.scene.now += Duration::from_millis(milliseconds),
            Step::Review(..) | Step::Drop(_) => {}
        }
        self.turn()
    }

    fn end(&mut self, token: &Token, end: End) {
        let number = number(token);
        let refusals = self.refusals.entry(number).or_default();
        let result = match end {
            End::Accepted => {
                *refusals = 0;
                accepted(number)
            }
            End::Refused => {
                *refusals += 1;
                refused()
            }
            End::Away => Err(away()),
            End::Error => Err(answered(500)),
        };
        let now = self.scene.now;
        self.scene.broker.reviewed(&token.hash, result, now);
    }

    /// What the task does after every event.
    fn turn(&mut self) -> Result<(), TestCaseError> {
        let now = self.scene.now;
        while let Some(token) = self.scene.broker.take(now) {
            prop_assert!(token.until > now, "an expired token is reviewed");
            self.begun.push(now);
            self.under_way.push(token);
        }
        prop_assert!(self.under_way.len() <= tight().in_flight);
        prop_assert!(self.scene.broker.cached() <= tight().accepted);
        let next = self.scene.broker.next(now);
        prop_assert!(next.is_none_or(|next| next > now), "the task would spin");
        for (asker, answer) in self.scene.broker.answers() {
            let number = self.waiting.remove(&asker);
            prop_assert!(number.is_some(), "told twice");
            if let (Some(number), Ok(account)) = (number, answer) {
                prop_assert!(!account.revoked.is_cancelled());
                prop_assert_eq!(&*account.name, format!("envoy-{number}"));
                self.held.push((number, account));
            }
        }
        prop_assert!(self.waiting.len() <= tight().askers);
        for (number, account) in &self.held {
            let refusals = self.refusals.get(number).copied().unwrap_or_default();
            prop_assert!(!account.revoked.is_cancelled() || refusals >= 2);
        }
        self.held
            .retain(|(_, account)| !account.revoked.is_cancelled());
        Ok(())
    }

    /// In no stretch of time there were more reviews than the rate allows.
    fn check_rate(&self) -> Result<(), TestCaseError> {
        for (at, first) in self.begun.iter().enumerate() {
            for (more, last) in self.begun[at..].iter().enumerate() {
                let time = *last - *first;
                let steady = time.as_millis() / tight().each.as_millis();
                prop_assert!(
                    more as u128 <= u128::from(tight().burst) + steady,
                    "{more} in {time:?}"
                );
            }
        }
        Ok(())
    }

    fn end_all(&mut self) -> Result<(), TestCaseError> {
        while let Some(token) = self.under_way.pop() {
            self.end(&token, End::Error);
        }
        self.turn()
    }
}

proptest! {
    #[test]
    fn everybody_is_told_once_and_in_time_and_no_limit_is_passed(steps in prop::collection::vec(step(), 0..150)) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step)?;
        }
        model.check_rate()?;
        // What is under way ends; those who wait are told in as long as their patience lasts.
        model.end_all()?;
        model.step(&Step::Wait(5000))?;
        model.end_all()?;
        prop_assert!(model.waiting.is_empty(), "{:?} were never told", model.waiting);
    }
}
