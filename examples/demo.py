"""`make demo`: NAF learns to put a peg into a narrow slot in about two minutes, and shows it."""

from pathlib import Path

import reverie as rv
from reverie.report.curve import draw_curve
from reverie.report.film import record
from reverie.storage.run import unused
from reverie.training.evaluation import evaluate
from reverie.training.saved_policy import SavedPolicy

ENV, STEPS, NAF = "peg", 15_000, rv.NAF.paper("peg")
EPISODES, SEED = 10, 1  # of the score after: starts that training's own evaluations never saw


def main() -> None:
    """Train, score, draw, film."""
    out = unused(Path("runs") / "demo")
    print(
        f"NAF learns {ENV} from {STEPS} real steps, 100 episodes (a random agent scores -10, the paper's NAF -0.44) …",
        flush=True,
    )
    with rv.Learner(NAF, env=ENV, seed=0, out=out) as learner:
        before = learner.evaluate(EPISODES)
        learner.save_best()  # until there is a better one
        learner.learn(STEPS, callbacks=[rv.Evaluate(750, episodes=5), rv.SaveBest(), rv.Progress()])
    policy = SavedPolicy(out, best=True)
    after = evaluate(policy.greedy, policy.env(), EPISODES, SEED).facts
    curve = draw_curve(out, out / "curve.png", f"NAF on {ENV}, seed 0")
    film = out / "film.mp4"
    filmed = record(policy.greedy, policy.env, film, seed=SEED, seconds=10)

    print(f"score before  {before['mean']:8.2f} ± {before['std']:.2f}   ({EPISODES} greedy episodes)")
    print(
        f"score after   {after['mean']:8.2f} ± {after['std']:.2f}   (the best policy, of step {policy.step}, on new starts)"
    )
    print(f"curve         {curve}")
    print(f"film          {film}{'   (a line drawing: no OpenGL was found)' if filmed.sketched else ''}")
    print(f"run           {out}   (reverie evaluate {out} --best)")


if __name__ == "__main__":
    main()
