"""Words that the model copied into the wrong slot, or only in part."""

from __future__ import annotations

import pytest

from intents.line import read, write
from intents.repair import repaired

CASES = [
    # said, the line as the model wrote it, the line as it should be
    ("is the side gate open", "<get_state><what> side gate open<state> open", "<get_state><what> side gate<state> open"),
    ("is the tablet gone", "<get_state><what> tablet gone", "<get_state><what> tablet<state> gone"),
    ("is the open sign lit", "<get_state><what> open sign<state> lit", "<get_state><what> open sign<state> lit"),
    ("attic minimum brightness", "<set_brightness><what> attic minimum<to> minimum", "<set_brightness><what> attic<to> minimum"),
    ("lower the ac two degrees", "<set_temperature><down><what> ac two degrees", "<set_temperature><down><what> ac<by> two degrees"),
    ("unlock back door", "<unlock><what> door<where> back door", "<unlock><what> back door"),
    ("lock the door in the cellar", "<lock><what> door<where> cellar", "<lock><what> door<where> cellar"),
    ("turn on the attic lamp", "<turn_on><what> attic lamp<where> attic", "<turn_on><what> attic lamp"),
    ("all the lamps off in the annex", "<turn_off><what> all the lamps<but> annex", "<turn_off><what> all the lamps<where> annex"),
    ("all the lamps off besides the annex", "<turn_off><what> all the lamps<but> annex", "<turn_off><what> all the lamps<but> annex"),
    ("dim it in an hour", "<delayed_command><for> an hour<command> dim it in an hour", "<delayed_command><for> an hour<command> dim it"),
    ("a 2 hour 5 minute and 10 second timer", "<timer_start><for> 5 minute and 10 second", "<timer_start><for> 2 hour 5 minute and 10 second"),
    ("timer for an hour and a half please", "<timer_start><for> an hour", "<timer_start><for> an hour and a half"),
    ("turn on lamp 2 for 5 minutes", "<turn_on><what> lamp 2<for> 5 minutes", "<turn_on><what> lamp 2<for> 5 minutes"),
    ("10 percent dimmer for the lamp", "<set_brightness><what> lamp<to> 10 percent", "<set_brightness><down><what> lamp<by> 10 percent"),
    ("make the spots like 15 percent brighter", "<set_brightness><up><what> spots", "<set_brightness><up><what> spots<by> 15 percent"),
    ("spots to 15 percent", "<set_brightness><what> spots<to> 15 percent", "<set_brightness><what> spots<to> 15 percent"),
    ("two degrees warmer please", "<set_temperature><up>", "<set_temperature><up><by> two degrees"),
    ("open the desk plug", "<turn_on><what> desk plug", "<open><what> desk plug"),
    ("please close my tv", "<turn_off><what> tv", "<close><what> tv"),
    ("open the light in the hall", "<turn_on><what> light in the hall", "<turn_on><what> light in the hall"),
    ("open the hatch and turn the fan on", "<turn_on><what> fan", "<turn_on><what> fan"),
    ("play the lighthouse movie", "<play_media><query> the lighthouse movie", "<play_media><query> lighthouse<class> movie"),
    ("play album blue moon", "<play_media><query> album blue moon", "<play_media><query> blue moon<class> album"),
    ("put on my summer playlist", "<play_media><query> my summer playlist", "<play_media><query> my summer<class> playlist"),
    ("play quiet river tv show", "<play_media><query> quiet<class> river", "<play_media><query> quiet river<class> tv show"),
    ("play movie lantern", "<play_media><where> lantern<query> movie", "<play_media><query> lantern<class> movie"),
    ("play the garden on the radio", "<play_media><what> garden on the radio<query> the garden", "<play_media><what> radio<query> the garden"),
    ("play jazz in the kitchen", "<play_media><where> kitchen<query> jazz", "<play_media><where> kitchen<query> jazz"),
    ("play the winter band on my hifi", "<play_media><what> hifi<query> the winter<class> band", "<play_media><what> hifi<query> winter<class> band"),
    ("play a song", "<play_media><query> a song", "<play_media><query> a song"),
    ("play the song quiet river", "<play_media><query> quiet river<class> song", "<play_media><query> quiet river<class> song"),
    ("play the last bus tv show on the tv", "<play_media><what> tv<query> the last bus", "<play_media><what> tv<query> last bus<class> tv show"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "written", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_each_word_is_in_one_slot(said: str, written: str, wanted: str) -> None:
    (parse,) = read(written)
    once = repaired(parse, said.split())
    assert write([once]) == write(read(wanted))
    assert repaired(once, said.split()) == once, "twice is as good as once"
