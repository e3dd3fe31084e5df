"""The `language_match` evaluator: 15 languages, code, short texts, and who asked for another."""

import itertools
import socket
from typing import Any

import pytest
from support.documented import check_documented

from evaluators import Score, Settings, Skip, Subject
from evaluators.detectors.languages import language_of
from evaluators.heuristics.language_match import LanguageMatch
from evaluators.testing import make_span, run

# ruff: noqa: E501, RUF001  sentences in other alphabets, each in one piece

TEXTS = {
    "en": ["When will the parcel that I ordered last week arrive?", "Your order left our warehouse on Monday and should arrive tomorrow.", "You can change the password under settings, then security.", "My invoice shows an amount that I do not understand."],
    "de": ["Wann kommt das Paket an, das ich letzte Woche bestellt habe?", "Ihre Bestellung hat unser Lager am Montag verlassen und kommt morgen an.", "Sie können das Passwort in den Einstellungen ändern.", "Meine Rechnung zeigt einen Betrag, den ich nicht verstehe."],
    "fr": ["Quand arrivera le colis que j'ai commandé la semaine dernière ?", "Votre commande a quitté notre entrepôt lundi et devrait arriver demain.", "Vous pouvez changer le mot de passe dans les paramètres.", "Ma facture indique un montant que je ne comprends pas."],
    "es": ["¿Cuándo llegará el paquete que pedí la semana pasada?", "Su pedido salió de nuestro almacén el lunes y debería llegar mañana.", "Puede cambiar la contraseña en los ajustes de seguridad.", "Mi factura muestra un importe que no entiendo."],
    "it": ["Quando arriverà il pacco che ho ordinato la settimana scorsa?", "Il suo ordine ha lasciato il magazzino lunedì e dovrebbe arrivare domani.", "Può cambiare la password nelle impostazioni di sicurezza.", "La mia fattura mostra un importo che non capisco."],
    "pt": ["Quando vai chegar a encomenda que fiz na semana passada?", "O seu pedido saiu do nosso armazém na segunda-feira e deve chegar amanhã.", "Você pode mudar a senha nas configurações de segurança.", "A minha fatura mostra um valor que não entendo."],
    "nl": ["Wanneer komt het pakket aan dat ik vorige week heb besteld?", "Uw bestelling heeft ons magazijn maandag verlaten en komt morgen aan.", "U kunt het wachtwoord wijzigen bij de instellingen.", "Op mijn factuur staat een bedrag dat ik niet begrijp."],
    "pl": ["Kiedy dotrze paczka, którą zamówiłem w zeszłym tygodniu?", "Twoje zamówienie opuściło magazyn w poniedziałek i powinno dotrzeć jutro.", "Hasło można zmienić w ustawieniach bezpieczeństwa.", "Na mojej fakturze jest kwota, której nie rozumiem."],
    "sv": ["När kommer paketet som jag beställde förra veckan?", "Din beställning lämnade vårt lager i måndags och bör komma i morgon.", "Du kan ändra lösenordet under inställningar och säkerhet.", "Min faktura visar ett belopp som jag inte förstår."],
    "tr": ["Geçen hafta sipariş ettiğim paket ne zaman gelecek?", "Siparişiniz pazartesi günü depomuzdan çıktı ve yarın ulaşması bekleniyor.", "Şifrenizi güvenlik ayarlarından değiştirebilirsiniz.", "Faturamda anlamadığım bir tutar görünüyor."],
    "ru": ["Когда придёт посылка, которую я заказал на прошлой неделе?", "Ваш заказ покинул наш склад в понедельник и должен прийти завтра.", "Вы можете изменить пароль в настройках безопасности.", "В моём счёте указана сумма, которую я не понимаю."],
    "ar": ["متى سيصل الطرد الذي طلبته الأسبوع الماضي؟", "غادر طلبك مستودعنا يوم الاثنين ومن المتوقع أن يصل غدا.", "يمكنك تغيير كلمة المرور من إعدادات الأمان.", "تظهر فاتورتي مبلغا لا أفهمه."],
    "hi": ["मैंने पिछले हफ्ते जो पार्सल मंगाया था वह कब आएगा?", "आपका ऑर्डर सोमवार को हमारे गोदाम से निकला और कल पहुँचना चाहिए।", "आप सुरक्षा सेटिंग में अपना पासवर्ड बदल सकते हैं।", "मेरे बिल में एक राशि है जो मुझे समझ नहीं आती।"],
    "ja": ["先週注文した荷物はいつ届きますか。", "ご注文の品は月曜日に倉庫を出発し、明日届く予定です。", "パスワードはセキュリティの設定で変更できます。", "請求書に分からない金額が載っています。"],
    "zh": ["我上周订购的包裹什么时候能送到?", "您的订单已于周一离开我们的仓库,预计明天送达。", "您可以在安全设置中更改密码。", "我的发票上有一笔我不明白的金额。"],
}  # fmt: skip


def _result(question: str, answer: str, **fields: Any) -> Score | Skip:
    return run(
        LanguageMatch(Settings("language_match")), Subject(make_span(question, answer, **fields))
    )


def test_fifteen_languages_are_told_apart() -> None:
    """Pairs of one language and of two are told with precision and recall of at least 0.95.

    Recall counts a pair of two languages that was abstained on as missed.
    """
    one = [pair for texts in TEXTS.values() for pair in itertools.permutations(texts, 2)]
    two = [
        (TEXTS[first][number % 4], TEXTS[other][(number + 1) % 4])
        for number, (first, other) in enumerate(itertools.permutations(TEXTS, 2))
    ]
    kept = [result.value for pair in one if isinstance(result := _result(*pair), Score)]
    found = sum(result == 0 for result in _values(two))
    false = kept.count(0.0)
    precision, recall, n = found / (found + false), found / len(two), len(one) + len(two)
    print(f"language_match: precision {precision:.4f}, recall {recall:.4f}, n {n}")  # noqa: T201  a figure to read
    assert precision >= 0.95
    assert recall >= 0.95
    assert len(kept) >= 0.95 * len(one)
    check_documented("language_match", n, precision, recall)


def _values(pairs: list[tuple[str, str]]) -> list[float | None]:
    results = [_result(*pair) for pair in pairs]
    return [result.value if isinstance(result, Score) else None for result in results]


@pytest.mark.parametrize("code", TEXTS)
def test_each_language_is_named(code: str) -> None:
    """At least three of four sentences of a language get its own code."""
    assert sum(language_of(text) == code for text in TEXTS[code]) >= 3


def test_code_and_addresses_count_for_nothing() -> None:
    """A German answer with English code in it is German."""
    code = (
        "```python\nfor item in the_list_of_items:\n    print('this is the next item', item)\n```"
    )
    result = _result(
        "Wie gebe ich in Python alle Elemente einer Liste aus?",
        f"So geht es am besten, Zeile für Zeile:\n{code}",
    )
    assert isinstance(result, Score)
    assert result.label == "same"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When will it arrive, please? I am waiting.", "OK!"),
        ("Please translate this into German: where is the station?", TEXTS["de"][0]),
        ("Answer me in French from now on, I have to practise.", TEXTS["fr"][1]),
        ("What is the Italian word for butterfly, and how is it used?", TEXTS["it"][0]),
        ("Comment dit-on cela en japonais, et quand l'utiliser ?", TEXTS["ja"][0]),
        ("12345678901234567890 12345678901234567890", TEXTS["en"][0]),
    ],
)
def test_what_cannot_be_told_is_skipped(question: str, answer: str) -> None:
    """Short texts and wishes for another language are not applicable, never a score."""
    result = _result(question, answer)
    assert isinstance(result, Skip)
    assert result.missing is None


def test_an_ordered_language_is_not_judged() -> None:
    """Where the system prompt orders a language, that of the user does not count."""
    result = _result(TEXTS["de"][0], TEXTS["en"][1], system="Always answer in English.")
    assert isinstance(result, Skip)


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model comes from the wheel: no socket is opened."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert language_of(TEXTS["nl"][0]) == "nl"
