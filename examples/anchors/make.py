"""Makes groundedness.jsonl: answers that rest on their context, and the same ones corrupted.

The label follows from the construction: a paraphrase passes, another figure and a claim from
nowhere fail.
"""

import json
from collections.abc import Iterator
from pathlib import Path

_SUBJECTS = (
    ("the annual ticket", "valid", "days", 365, "it is shown with a photo card"),
    ("the cooling pump", "safe to run", "degrees", 40, "the filter is clean"),
    ("the returns window", "open", "days", 30, "the label is still on"),
    ("the trial account", "free", "weeks", 2, "no card is on file"),
    ("the delivery van", "allowed to carry", "kilograms", 900, "both axles are checked"),
    ("the guest network", "available", "hours", 12, "the terms are accepted"),
    ("the warranty", "in force", "months", 24, "the device was registered"),
    ("the meeting room", "reserved", "minutes", 90, "somebody checks in"),
    ("the oven", "kept hot", "minutes", 45, "the door stays shut"),
    ("the parking permit", "valid", "hours", 3, "the disc is set"),
    ("the loan rate", "fixed", "years", 10, "the payments are on time"),
    ("the backup", "kept", "days", 90, "the archive plan is booked"),
    ("the rope", "rated", "kilograms", 250, "it has no knots"),
    ("the vaccine", "stable", "hours", 6, "it is stored in the dark"),
    ("the gift voucher", "redeemable", "months", 36, "it carries a code"),
    ("the discount", "granted", "weeks", 8, "the newsletter is kept"),
    ("the battery", "covered", "cycles", 500, "the original charger is used"),
    ("the visa", "valid", "days", 180, "the entry is stamped"),
    ("the rental bike", "insured", "hours", 24, "the lock was used"),
    ("the paint", "weatherproof", "years", 7, "two coats were applied"),
    ("the lift", "rated", "persons", 8, "the inspection is current"),
    ("the sample", "usable", "days", 5, "it is kept at four degrees"),
    ("the seat reservation", "held", "minutes", 15, "the train is on time"),
    ("the server", "supported", "years", 5, "the firmware is current"),
    ("the mortgage offer", "binding", "days", 14, "the income is proven"),
    ("the lecture recording", "online", "weeks", 6, "the speaker agreed"),
)


def lines() -> Iterator[str]:
    """The items, a JSON object each."""
    for subject, state, unit, amount, condition in _SUBJECTS:
        name = subject[0].upper() + subject[1:]
        context = f"{name} is {state} for {amount} {unit}, provided that {condition}."
        if unit in {"degrees", "kilograms", "persons"}:
            context = f"{name} is {state} up to {amount} {unit}, provided that {condition}."
        rest = context.partition(" is ")[2]
        answers = (
            ("pass", f"As long as {condition}, {subject} is {rest.partition(', provided')[0]}."),
            ("pass", f"According to the document, {subject} is {rest}"),
            ("fail", f"{name} is {rest.replace(str(amount), str(amount * 2), 1)}"),
            ("fail", f"{context} It can be extended twice at no charge."),
        )
        for human, output in answers:
            item = {
                "human": human,
                "input": f"What are the limits of {subject}?",
                "context": [context],
                "output": output,
            }
            yield json.dumps(item)


if __name__ == "__main__":
    file = Path(__file__).parent / "groundedness.jsonl"
    file.write_text("\n".join(lines()) + "\n", "utf-8")
    print(f"{file.name} written")
