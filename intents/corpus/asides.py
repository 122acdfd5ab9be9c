"""What people say beside an order and ask nothing with: why, for whom, what happens meanwhile, a name for who listens.

None of it belongs to the order. Said alone it asks for nothing; a complaint ("it's freezing") does, and stands only beside an
order that it is a reason for. Conditions ("when I come home") are no asides: such an order is not to be done at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from intents.corpus.lexicon import SAMPLER
from intents.line import Parse

_FILLERS = {
    "who": "mum|dad|mom|grandma|grandpa|nana|the baby|the kids|my wife|my husband|the neighbors|the cat|the dog|my sister|my brother|the guests|the plumber|the postman|"
    "the delivery guy|the babysitter|my boss|{person}|{person}|{person}|everyone|the twins|the landlord|our visitors|the electrician|the little one|my roommate|a friend|the boys|"
    "the dog walker|the cleaner|my mother in law|the puppy|his friend|the doctor|auntie {person}|the whole team",
    "ving": "cooking|baking|leaving|sleeping|working|studying|coming|waiting|standing|sitting|crying|barking|reading|painting|eating|moving|arriving|heading|going|packing|soaking|"
    "ironing|sneezing|starving|driving|running|walking|pulling up|parking|knocking|yelling|singing|practising|resting|chatting|getting dressed|getting up|getting ready|"
    "having a bath|having a nap|having dinner|having guests|watching a film|doing my nails|doing homework|feeding the baby|making soup|on the phone|trying to sleep|"
    "trying to read|trying to work|trying to talk|about to leave|about to eat|about to start|heading out|heading home|coming home|turning in|going to sleep|off to work",
    "obj": "the toast|dinner|my homework|a cake|the dishes|some soup|the bath|my shoes|a nap|the car|the laundry|my glasses|a parcel|my keys|the bins|the pram|a film|the game|my book|"
    "the roast|a call|my coat|supper|the ironing|lunch|the paper|my pills|the last bus|a glass|the milk|my phone|the shopping|everything|it|them|the garden hose|the suitcases",
    "place": "in the garden|outside|upstairs|at the door|on the floor|out there|down here|in here|in bed|on the sofa|at the table|in the car|over the road|in the shower|on the phone|at work|in town|"
    "next door|out back|in the other room|in the {room}|on the stairs|by the window|at the gate|in the way|under the table|all over the place|round here",
    "time": "now|already|anyhow|anyway|again|in a minute|soon|tonight|tomorrow|for the day|at last|just now|any minute|all day|all night|this morning|till late|later|as well|for once|since noon",
    "verb": "sleep|read|leave|go|cook|work|concentrate|rest|eat|study|get up early|have a bath|do my homework|feed the cat|take a call|find my glasses|get some sleep|see what i'm doing|"
    "hear myself think|be up at six|catch a train|pee|get ready|iron a shirt|walk the dog|change the baby|watch the match|think|breathe|get dressed|get going|run|get in|get out|get past|"
    "see|hear you|relax|make dinner|wash up|say good night|talk to {person}|meet {person}|fetch {person}|get {obj}|find {obj}|finish {obj}|take {obj} out",
    "past": "burnt|dropped|lost|found|finished|forgotten|forgot|made|broke|bought|spilled|eaten|done|put away|left|missed|fixed|cooked|washed|packed|got|had|brought|seen|heard|turned up|come home|"
    "gone to bed|gone out|fallen asleep|got in|got up|just woken up|finished work|sat down|had enough|run out of time|taken {obj} out|burnt {obj}|lost {obj}|dropped {obj}|made {obj}",
    "feeling": "beat|knackered|exhausted|shattered|tired|done|late|off|home|back|nearly home|in a rush|in a hurry|half asleep|busy|ready|bored|hungry|full|not well|poorly|off to bed|off out|all set|"
    "worn out|soaked|bushed|in the bath|wide awake|all in|going out|leaving now|sleepy|hung over|in bed|stuck|covered in flour|all wet|done in|on holiday|out of here|all sitting down|downstairs|not sleepy",
    "sky": "raining|pouring|spitting|drizzling|snowing|hailing|foggy|bucketing down|tipping down|chucking down|getting late|gone ten|past midnight|nearly eight|lovely out|sunny|a lovely day|stormy|"
    "blowing a gale|nearly time|monday tomorrow|a school night|my birthday|the weekend|about to rain|going to rain|starting to snow|late|early|time|dinner time|bedtime|my turn|sunday|friday night|clearing up",
    "body": "back|head|feet|hands|knee|eyes|arm|phone|neck|car|legs|tooth|bag|stomach",
    "pain": "hurts|hurt|is killing me|are killing me|are full|is sore|are wet|is dead|aches|is bad|is broken|are dirty|is stuck|is playing up",
    "thing": "toast|pasta|film|match|dinner|cake|show|bus|taxi|parcel|bath|meeting|party|soup|battery|game|movie|lesson|pizza|rice|kettle's whistle|food|roast|wind|sun|rain|storm|bread|song|traffic|concert|news",
    "fate": "burning|ready|starting|about to start|over|boiling over|here|late|finished|getting cold|done|nearly done|nearly over|out|gone|in my eyes|going down|coming|delivered|ruined|cancelled|tomorrow|at eight",
    "state": "asleep|here|hungry|at the door|in bed|coming|on the way|on her way|on his way|scared|sick|awake|tired|in a mood|due any minute|complaining|downstairs|in there|ready to eat|still awake|allergic|"
    "afraid of the dark|waiting|back|out|not home yet|coming over|staying over|out of bed|under it|a light sleeper|teething|visiting|up early",
    "ailment": "migraine|headache|cold|visitor|meeting|bad back|sore throat|early start|long day|date|deadline|fever|baby asleep|lot to do|friend over|stiff neck|call in five minutes|bad knee|hangover|plane to catch",
    "dear": "love|dear|darling|mate|dude|man|buddy|sweetie|pal|honey|my love|my dear|bro|friend|boss|hon|babe|sunshine|my friend|you two|old thing|pet|duck|chief|girl|boy|sir",
    "oh": "oh no|oh god|ugh|blimey|jeez|oh dear|ooh|hang on|look|ah|yikes|oof|hm|hmm|bloody hell|for goodness sake|good grief|phew|aargh|oh man|oh my|whoa|right|right so|anyway|so|well then|okay so|"
    "yeah|yeah so|you know what|tell you what|i tell you what|one more thing|oh and|by the way|before i forget|while you're at it|actually yeah|i said|like i said|erm|excuse me|hello|psst|quick question",
    "thanks": "cheers|ta|ta very much|much appreciated|good stuff|lovely|brilliant|there's a good boy|there's a love|that'd be grand|that would be great|that'd be great|i'd appreciate it|"
    "chop chop|hurry up|hurry|be quick|be quick about it|make it snappy|will ya|would ya|right quick|quick as you can|if you'd be so kind|there's a dear|thanks love|thank you so much|okay thanks|bless you|nice one|and thanks",
}  # fmt: skip
_ASIDE = (
    "(i'm|i am|we're|we are|i'm|i'm) {feeling} [{time}]",
    "(i'm|i am|we're|we are|{who} is|{who}'s|he's|she's|they're) [just|still|finally|] {ving} [{place}|{time}|]",
    "(i've|i have|we've|i|we|{who}|she's|he's|somebody|{who} has) [just|already|nearly|finally|] {past} [{time}]",
    "(i've|we've|i|we|{who}|she's|he's|somebody) [just|already|] {past} {obj}",
    "(i|we|the kids|{who}) (gotta|got to|have got to|need to|have to|must|want to|wanna|'d like to|should|can't|couldn't|really need to|still have to|'ll|will|are trying to|might) {verb} [{time}]",
    "(i'm|we're|{who} is) (trying|going|about|ready|supposed|hoping|not able) to {verb}",
    "(it's|it is|it's|looks like it's|apparently it's) {sky} [{time}|out there|outside]",
    "my {body} {pain}",
    "(i've got|i have|i got|got|we have) (a|an|this|such a) {ailment}",
    "{who} (is|is|are|'s|was) {state}",
    "the {thing} (is|is|'s|was) {fate}",
    "(so|so that|so) (i|we|{who}|the kids|you|people) can {verb}",
    "(now that|in case|seeing as|since|otherwise|given that) (i|we|{who}) {verb} [{time}]",
    "(otherwise|or) (i|we|{who}) ('ll|will|won't|can't|might) {verb}",
    "(there's|there is|we've got|here comes) {who} [{place}]",
    "(i|we) (can't|couldn't) (find my glasses|reach the switch|reach it|get up|be bothered|be long|stay|wait|find the remote|sleep a wink)",
    "(that's|this is) (enough|silly|all|annoying|not right|ridiculous|a mess|just us|my favorite bit)",
    "for {who}",
    "(he|she|{who}) (said|says|thinks|told me) (so|it's fine|it's okay|i can|we could|it's time)",
    "(nobody|no one|somebody|someone) (wants to {verb}|is {place}|has to {verb})",
    "i {past} {obj} {place}",
    "{who} (hates|loves|wants|needs|has|gets|keeps) {obj}",
)  # fmt: skip
# What bothers people, by the order that it is a reason for.
_DARK = "it's (dark|too dark|so dark|gloomy|getting dark|pitch black) [in here|down here|out|outside]|(i|we) can't see [a thing|my feet|anything|the keyhole]"
_COLD = "it's (bitter|freezing|cold|chilly|nippy|parky|arctic|brisk) [in here|today|out|tonight|this morning]|(i'm|we're) (frozen|freezing|cold|shivering|chilly)"
_HOT = "it's (boiling|roasting|stuffy|stifling|sweltering|muggy|hot|so hot|too warm) [in here|tonight|today]|(i'm|we're) (melting|sweating|boiling|too hot)"
_LOUD = "(i|we) can't hear (myself think|you|each other)|it's (so|too|way too) loud|that's (deafening|too loud)|the neighbors are complaining"
_BRIGHT = "it's (too|so|way too) bright [in here]|the (light's|sun's) in my eyes|i'm dazzled"
_FAINT = "(i|we) can't hear (it|a thing|a word|what he says)|it's (too|so) quiet"
_COMPLAINTS: Mapping[tuple[str, str], str] = {
    ("turn_on", ""): f"{_DARK}|{_DARK}|{_COLD}|{_HOT}", ("turn_off", ""): f"{_BRIGHT}|{_LOUD}|{_HOT}", ("set_brightness", "up"): _DARK,
    ("set_brightness", "down"): _BRIGHT, ("set_brightness", ""): f"{_BRIGHT}|{_DARK}", ("set_temperature", "up"): _COLD, ("set_temperature", "down"): _HOT,
    ("set_temperature", ""): f"{_COLD}|{_HOT}", ("set", "up"): f"{_COLD}|{_DARK}|{_FAINT}", ("set", "down"): f"{_HOT}|{_BRIGHT}|{_LOUD}", ("set_volume", "up"): _FAINT,
    ("set_volume", "down"): _LOUD, ("mute", ""): _LOUD, ("media_pause", ""): _LOUD, ("close", ""): f"{_COLD}|{_BRIGHT}|there's a (draught|draft|breeze)", ("open", ""): f"{_HOT}|{_DARK}|(i|we) need some (air|sun|light)",
    ("set_fan_speed", "up"): _HOT, ("set_fan_speed", "down"): _COLD,
}  # fmt: skip
# Words at the end of which nobody can say where they stop: a title, a message, an order that is put off.
_ENDLESS = ("query", "message", "command", "item")
_WORDS = SAMPLER.extended(_FILLERS)


def aside(rng: Random) -> str:
    """A clause that asks for nothing, whatever it stands beside."""
    return _WORDS.draw(rng.choice(_ASIDE), rng).text.replace(" '", "'")


def with_aside(text: str, parses: Sequence[Parse], rng: Random) -> str:
    """The sentence with a clause before it or behind it, or with an exclamation, thanks, or a name for who listens."""
    r = rng.random()
    if r < 0.15:
        return _WORDS.draw(rng.choice(("{oh} ", "{dear} ", "{oh} {dear} ")), rng).text + f" {text}"
    endless = bool(parses) and any(slot in parses[-1].slots for slot in _ENDLESS)
    if r < 0.32 and not endless:
        return (
            f"{text} "
            + _WORDS.draw(
                rng.choice(("{thanks}", "{dear}", "{thanks} {dear}", "please {dear}", "would you {dear}")), rng
            ).text
        )
    first = parses[0] if parses else Parse("")
    flag = next((slot for slot in ("up", "down") if slot in first.slots), "")
    complaints = _COMPLAINTS.get((first.intent, flag), "")
    clause = _WORDS.draw(f"({complaints})", rng).text if complaints and rng.random() < 0.3 else aside(rng)
    if endless or rng.random() < 0.45:
        return f"{clause} {rng.choice(('', '', '', 'so', 'so', 'and', 'please', 'so please', 'so can you', 'so could you', 'now'))} {text}"
    joint = rng.choice(("", "", "", "", "", "because", "cause", "since", "as", "and"))
    return f"{text} {joint} {clause}"
