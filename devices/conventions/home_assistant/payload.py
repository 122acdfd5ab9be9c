"""Discovery payloads as they are written: two forms, abbreviated keys, a base topic. In: a message. Out: whole keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from devices.conventions import Message
from devices.conventions.values import items, load, mapping, text

LONGEST_PAYLOAD = 262_144  # bytes; the device form of the richest devices has some 60,000
MOST_COMPONENTS = 500
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_SHARED = frozenset(
    "availability availability_mode availability_topic availability_template command_topic payload_available "
    "payload_not_available encoding qos state_topic".split()
)

# Most keys are a stem and an ending, and are shortened in both.
_STEMS = (
    "act action aux aux avty availability away_mode away_mode b blue bat_lev battery_level bri brightness chrg "
    "charging cln cleaning clr_temp color_temp clrm color_mode curr_hum current_humidity curr_temp current_temperature "
    "dir direction dock dock err error fan_mode fan_mode fanspd fan_speed fx effect g green hold hold hs hs hum "
    "target_humidity img image json_attr json_attributes l_ver latest_version lrst last_reset mode mode osc "
    "oscillation pause pause pct percentage pos position pow power pr_mode preset_mode r red rgb rgb rgbw rgbw rgbww "
    "rgbww send send set_fan_spd set_fan_speed set_pos set_position spd speed stat state strt_mw start_mowing "
    "swing_h_mode swing_horizontal_mode swing_mode swing_mode temp temperature temp_hi temperature_high temp_lo "
    "temperature_low tilt tilt tilt_status tilt_status url url whit white whit_val white_value xy xy"
).split()
_ENDINGS = (
    "cmd_t command_topic cmd_tpl command_template stat_t state_topic stat_tpl state_template t topic tpl template "
    "val_tpl value_template"
).split()
_OTHERS = (
    "act_stat_t activity_state_topic act_val_tpl activity_value_template atype automation_type av_tones "
    "available_tones avty availability avty_mode availability_mode bri_scl brightness_scale clr_temp_k "
    "color_temp_kelvin clrm color_mode cmd_off_tpl command_off_template cmd_on_tpl command_on_template cmd_t "
    "command_topic cmd_tpl command_template cmps components cod_arm_req code_arm_required cod_dis_req "
    "code_disarm_required cod_form code_format cod_trig_req code_trigger_required cont_type content_type def_ent_id "
    "default_entity_id dev device dev_cla device_class dock_t docked_topic dock_tpl docked_template dsp_prc "
    "display_precision e encoding en enabled_by_default ent_cat entity_category ent_pic entity_picture evt_typ "
    "event_types exp_aft expire_after fanspd_lst fan_speed_list flsh flash flsh_tlng flash_time_long flsh_tsht "
    "flash_time_short frc_upd force_update fx_list effect_list hum_state_tpl target_humidity_state_template ic icon "
    "img_e image_encoding init initial json_attr json_attributes max_hum max_humidity max_k max_kelvin max_mirs "
    "max_mireds migr_discvry migrate_discovery min_hum min_humidity min_k min_kelvin min_mirs min_mireds o origin "
    "obj_id object_id off_dly off_delay on_cmd_type on_command_type ops options opt optimistic p platform pl payload "
    "pl_arm_away payload_arm_away pl_arm_custom_b payload_arm_custom_bypass pl_arm_home payload_arm_home pl_arm_nite "
    "payload_arm_night pl_arm_vacation payload_arm_vacation pl_avail payload_available pl_cln_sp payload_clean_spot "
    "pl_cls payload_close pl_dir_fwd payload_direction_forward pl_dir_rev payload_direction_reverse pl_disarm "
    "payload_disarm pl_hi_spd payload_high_speed pl_home payload_home pl_inst payload_install pl_lo_spd "
    "payload_low_speed pl_loc payload_locate pl_lock payload_lock pl_med_spd payload_medium_speed pl_not_avail "
    "payload_not_available pl_not_home payload_not_home pl_off payload_off pl_off_spd payload_off_speed pl_on "
    "payload_on pl_open payload_open pl_osc_off payload_oscillation_off pl_osc_on payload_oscillation_on pl_paus "
    "payload_pause pl_prs payload_press pl_ret payload_return_to_base pl_rst payload_reset pl_rst_hum "
    "payload_reset_humidity pl_rst_mode payload_reset_mode pl_rst_pct payload_reset_percentage pl_rst_pr_mode "
    "payload_reset_preset_mode pl_stop payload_stop pl_stop_tilt payload_stop_tilt pl_stpa payload_start_pause "
    "pl_strt payload_start pl_toff payload_turn_off pl_ton payload_turn_on pl_trig payload_trigger pl_unlk "
    "payload_unlock pos reports_position pos_clsd position_closed pos_open position_open pr_modes preset_modes ptrn "
    "pattern rel_s release_summary rel_u release_url ret retain set_pos_tpl set_position_template spd_rng_max "
    "speed_range_max spd_rng_min speed_range_min spds speeds src_type source_type stat_cla state_class stat_closing "
    "state_closing stat_clsd state_closed stat_jam state_jammed stat_locked state_locked stat_locking state_locking "
    "stat_off state_off stat_on state_on stat_open state_open stat_opening state_opening stat_stopped state_stopped "
    "stat_t state_topic stat_tpl state_template stat_unlocked state_unlocked stat_unlocking state_unlocking "
    "stat_val_tpl state_value_template stype subtype sug_dsp_prc suggested_display_precision sup_clrm "
    "supported_color_modes sup_dur support_duration sup_feat supported_features sup_vol support_volume_set t topic "
    "temp_unit temperature_unit tilt_clsd_val tilt_closed_value tilt_inv_stat tilt_invert_state tilt_opnd_val "
    "tilt_opened_value tilt_opt tilt_optimistic tit title trns transition uniq_id unique_id unit_of_meas "
    "unit_of_measurement val_tpl value_template whit_scl white_scale whit_val_scl white_value_scale"
).split()
_DEVICE = (
    "cns connections cu configuration_url hw hw_version ids identifiers mdl model mdl_id model_id mf manufacturer sa "
    "suggested_area sn serial_number sw sw_version"
).split()


def _pairs(words: list[str]) -> dict[str, str]:
    return dict(zip(words[::2], words[1::2], strict=True))


def _abbreviations() -> Mapping[str, str]:
    regular = {
        f"{short}_{ending}": f"{long}_{whole}"
        for short, long in _pairs(_STEMS).items()
        for ending, whole in _pairs(_ENDINGS).items()
    }
    return MappingProxyType({**regular, **_pairs(_OTHERS)})


ABBREVIATIONS = _abbreviations()
DEVICE_ABBREVIATIONS: Mapping[str, str] = MappingProxyType(_pairs(_DEVICE))


@dataclass(frozen=True, slots=True)
class Announcement:
    """One entity of a discovery payload. `values` has whole keys and topics; `key` tells it from others of its kind."""

    component: str
    key: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Found:
    """What a discovery message holds."""

    announcements: tuple[Announcement, ...] = ()
    warnings: tuple[str, ...] = ()


def address(prefix: str, topic: str) -> tuple[str, str] | None:
    """The component and the id that a discovery topic names, or None where it is none."""
    if not topic.startswith(f"{prefix}/") or not topic.endswith("/config"):
        return None
    component, *ids = topic[len(prefix) + 1 : -len("/config")].split("/")
    if not 1 <= len(ids) <= 2 or not all(_ID.fullmatch(part) for part in (component, *ids)):
        return None
    return component, "_".join(ids)


def found_in(message: Message, component: str, key: str) -> Found:
    """The entities of a discovery message: none where it is empty or none can be read."""
    if not message.payload.strip():
        return Found()
    whole = load(message.payload, LONGEST_PAYLOAD)
    if not isinstance(whole, dict):
        return Found(warnings=(f"the announcement on {message.topic} is not a JSON object of ordinary size",))
    values = _expanded(whole)
    if values.get("migrate_discovery"):  # it will be announced again, in the other form
        return Found()
    if component == "device":
        return _found_in_device(values, key, message.topic)
    return Found((Announcement(component, key, values),))


def _found_in_device(values: Mapping[str, object], key: str, topic: str) -> Found:
    components = values.get("components")
    if not isinstance(components, dict):
        return Found(warnings=(f"the announcement on {topic} names no components",))
    shared = {k: v for k, v in values.items() if k in _SHARED}
    found: list[Announcement] = []
    warnings: list[str] = []
    for id, part in list(components.items())[:MOST_COMPONENTS]:
        own = _expanded(mapping(part), base=text(values.get("~")))
        platform = text(own.pop("platform", None))
        if platform is None:
            warnings.append(f"the announcement on {topic} does not say what {id!r} is")
        elif own:  # alone, the platform says that it is gone
            device = {"device": values.get("device")}
            found.append(Announcement(platform, f"{key}_{id}", {**shared, **device, **own}))
    return Found(tuple(found), tuple(warnings))


def _expanded(values: Mapping[str, object], base: str | None = None) -> dict[str, object]:
    whole = _unabbreviated(values, ABBREVIATIONS)
    base = text(whole.get("~")) or base
    if isinstance(device := whole.get("device"), dict):
        whole["device"] = _unabbreviated(device, DEVICE_ABBREVIATIONS)
    if "availability" in whole:
        lines = (_unabbreviated(mapping(line), ABBREVIATIONS) for line in items(whole["availability"]))
        whole["availability"] = [_based(line, base) for line in lines]
    return _based(whole, base)


def _unabbreviated(values: Mapping[str, object], table: Mapping[str, str]) -> dict[str, object]:
    """With whole keys; one that is already written whole wins over its abbreviation."""
    return {table.get(k, k): v for k, v in sorted(values.items(), key=lambda pair: pair[0] not in table)}


def _based(values: dict[str, object], base: str | None) -> dict[str, object]:
    if base is None:
        return values
    return {k: _topic(v, base) if k.endswith("topic") and isinstance(v, str) else v for k, v in values.items()}


def _topic(value: str, base: str) -> str:
    if value.startswith("~"):
        value = base + value[1:]
    return value[:-1] + base if value.endswith("~") else value


def texts(value: object) -> Iterator[str]:
    """The texts in a list, or the one text."""
    return (found for item in items(value) if (found := text(item)) is not None)
