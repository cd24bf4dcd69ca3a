"""Names and codes of languages: archives have codes of three letters (ISO 639-3), clients those of two."""

import re

_TABLE = """
afr af Afrikaans; ara ar Arabic; aze az Azerbaijani; bel be Belarusian; ben bn Bengali; bul bg Bulgarian;
cat ca Catalan; ces cs Czech; cmn zh Chinese; cym cy Welsh; dan da Danish; deu de German; ell el Greek;
eng en English; epo eo Esperanto; est et Estonian; eus eu Basque; fin fi Finnish; fra fr French; gle ga Irish;
glg gl Galician; guj gu Gujarati; heb he Hebrew; hin hi Hindi; hrv hr Croatian; hun hu Hungarian;
hye hy Armenian; ind id Indonesian; isl is Icelandic; ita it Italian; jpn ja Japanese; kan kn Kannada;
kat ka Georgian; kaz kk Kazakh; khm km Khmer; kor ko Korean; lat la Latin; lit lt Lithuanian; lvs lv Latvian;
mal ml Malayalam; mar mr Marathi; mkd mk Macedonian; mlt mt Maltese; mon mn Mongolian; nep ne Nepali;
nld nl Dutch; nob nb Norwegian; ori or Odia; pan pa Punjabi; pes fa Persian; pol pl Polish; por pt Portuguese;
ron ro Romanian; rus ru Russian; san sa Sanskrit; slk sk Slovak; slv sl Slovenian; spa es Spanish;
sqi sq Albanian; srp sr Serbian; swe sv Swedish; swh sw Swahili; tam ta Tamil; tel te Telugu; tgl tl Tagalog;
tha th Thai; tur tr Turkish; uig ug Uyghur; ukr uk Ukrainian; urd ur Urdu; uzb uz Uzbek; vie vi Vietnamese;
yid yi Yiddish; zsm ms Malay
"""
_ROWS = [entry.split() for entry in _TABLE.split(";")]
CODES = {three: two for three, two, _ in _ROWS}
"""Codes of ISO 639-3 → ISO 639-1."""
_NAMES = {two: name for _, two, name in _ROWS}


def language_code(code: str) -> str:
    """The code that clients use: "mar", "mr" and "mr-IN" are all "mr"; unknown ones stay as they are."""
    main = re.split("[-_@]", code)[0].lower()
    return CODES.get(main, main)


def language_name(code: str) -> str:
    """The English name of a code of `language_code`; unknown ones are their own."""
    return _NAMES.get(code, code)
