//! What the reports of imported files say of rows and questions.

/// As the texts of details. Of two that fit, the one that says more stands first.
pub(super) static TEXTS: &[(&str, &str)] = &[
    // Files of people and of enrolments
    ("there is no line with headings", "başlık satırı yok"),
    (
        "there is a character that nobody sees",
        "görünmeyen bir karakter var",
    ),
    ("there is no address", "e-posta adresi yok"),
    ("this is no address", "bu bir e-posta adresi değil"),
    ("no column has names", "ad içeren bir sütun yok"),
    ("there is no name", "ad yok"),
    ("there are tr and en", "tr ya da en olabilir"),
    ("the column is not there", "bu sütun yok"),
    ("the user is not in users.csv", "kullanıcı users.csv içinde yok"),
    ("there is no class", "sınıf belirtilmemiş"),
    ("there is no {} in the package", "pakette {} yok"),
    ("this is no zip package: {}", "bu bir zip paketi değil: {}"),
    ("the file cannot be inflated: {}", "dosya açılamıyor: {}"),
    (
        "the files are too large when inflated",
        "dosyalar açıldığında çok büyük",
    ),
    ("more than {} files", "{} dosyadan fazla"),
    (
        "you manage users of your own department alone",
        "yalnızca kendi bölümünüzdeki kullanıcıları yönetebilirsiniz",
    ),
    (
        "admins are not deactivated by files",
        "yöneticiler dosyayla devre dışı bırakılmaz",
    ),
    (
        "the role has permissions that you lack",
        "bu rolde sizde olmayan yetkiler var",
    ),
    (
        "has to be a role of the school other than admin",
        "okulun admin dışındaki rollerinden biri olmalı",
    ),
    ("has to be an e-mail address", "bir e-posta adresi olmalı"),
    (
        "names are 1 to 200 characters long",
        "adlar 1 ile 200 karakter arasında olmalı",
    ),
    (
        "is no hash of a kind that can be verified",
        "doğrulanabilen türden bir parola özeti değil",
    ),
    (
        "The student is in line {} already.",
        "Öğrenci {}. satırda zaten var.",
    ),
    ("The row is about another course.", "Satır başka bir derse ait."),
    ("Only students are enrolled.", "Yalnızca öğrenciler kaydedilir."),
    ("{} is not a state of an enrolment", "{} bir kayıt durumu değil"),
    // Question banks
    ("the text is not UTF-8", "metin UTF-8 değil"),
    ("the text has a character U+0000", "metinde U+0000 karakteri var"),
    ("more than {} bytes", "{} bayttan fazla"),
    ("more than {} questions", "{} sorudan fazla"),
    (
        "more than {} choices, answers or tags",
        "{} seçenek, yanıt ya da etiketten fazla",
    ),
    ("the question has no text", "sorunun metni yok"),
    ("a choice has no text", "bir seçeneğin metni yok"),
    ("there are fewer than two choices", "ikiden az seçenek var"),
    ("no choice gives credit", "hiçbir seçenek puan vermiyor"),
    ("no answer gives full credit", "hiçbir yanıt tam puan vermiyor"),
    ("`{}` is not a number", "`{}` bir sayı değil"),
    ("a tolerance is below zero", "bir tolerans sıfırdan küçük"),
    (
        "a short answer with a wildcard",
        "joker karakterli kısa yanıt desteklenmiyor",
    ),
    // Aiken and GIFT
    ("an answer without a question", "sorusu olmayan bir yanıt"),
    (
        "the question has no line `ANSWER:`",
        "soruda `ANSWER:` satırı yok",
    ),
    (
        "line {}: the answer is none of the choices",
        "{}. satır: yanıt seçeneklerden biri değil",
    ),
    (
        "a description has nothing to answer",
        "açıklamada yanıtlanacak bir şey yok",
    ),
    (
        "the answers have no closing brace",
        "yanıtların kapanış ayracı yok",
    ),
    (
        "a second opening brace; within a text it has a backslash before it",
        "ikinci bir açılış ayracı; metin içinde önüne ters bölü konur",
    ),
    (
        "the title has no closing `::`",
        "başlığın kapanış `::` işareti yok",
    ),
    ("pairs to match", "eşleştirme sorusu desteklenmiyor"),
    ("`{}` is not a range of numbers", "`{}` bir sayı aralığı değil"),
    (
        "`{}` is not marked by `=` or `~`",
        "`{}` önünde `=` ya da `~` yok",
    ),
    // Moodle XML and XML as such
    (
        "not a quiz of Moodle's XML",
        "Moodle XML biçiminde bir soru bankası değil",
    ),
    ("the type `{}`", "`{}` türü desteklenmiyor"),
    ("a number with a wildcard", "joker karakterli sayı desteklenmiyor"),
    ("`single` is `{}`", "`single` değeri: `{}`"),
    (
        "neither true nor false gives full credit",
        "ne doğru ne yanlış tam puan veriyor",
    ),
    ("broken XML in line {}: {}", "{}. satırda bozuk XML: {}"),
    (
        "the document ends within the item",
        "belge soru bitmeden sona eriyor",
    ),
    ("the entity `{}` is not known", "`{}` varlığı (entity) bilinmiyor"),
    (
        "an attribute of `{}` is broken",
        "`{}` öğesinin bir özniteliği bozuk",
    ),
    (
        "more than {} levels of elements",
        "{} düzeyden fazla iç içe öğe var",
    ),
    ("more than {} elements", "{} öğeden fazla"),
    ("more than {} attributes", "{} öznitelikten fazla"),
    // QTI
    ("not a zip package: {}", "bir zip paketi değil: {}"),
    ("there are no QTI items in the package", "pakette QTI sorusu yok"),
    ("there are no QTI items", "QTI sorusu yok"),
    (
        "a test that refers to items in other files",
        "başka dosyalardaki sorulara başvuran sınav desteklenmiyor",
    ),
    ("a number that is calculated", "hesaplanan sayı desteklenmiyor"),
    ("there is nothing to answer", "yanıtlanacak bir şey yok"),
    ("{} answers are asked for", "{} yanıt isteniyor"),
    ("{} interactions", "{} etkileşim var"),
    (
        "the choices are ordered or placed, not picked",
        "seçenekler işaretlenmiyor, sıralanıyor ya da yerleştiriliyor",
    ),
    (
        "an answer that is not written",
        "yazılı olmayan yanıt desteklenmiyor",
    ),
    (
        "`{}` to `{}` is not a range",
        "`{}` ile `{}` bir aralık oluşturmuyor",
    ),
    ("no choice gives a score", "hiçbir seçenek puan vermiyor"),
    ("no text gives a score", "hiçbir metin puan vermiyor"),
    ("no number gives a score", "hiçbir sayı puan vermiyor"),
    (
        "a range of numbers with one end",
        "tek uçlu sayı aralığı desteklenmiyor",
    ),
    (
        "the item is adaptive",
        "uyarlamalı (adaptive) soru desteklenmiyor",
    ),
    (
        "the item is a template with variables",
        "değişkenli şablon desteklenmiyor",
    ),
    ("the item has no body", "sorunun gövdesi yok"),
    (
        "a written answer of the type `{}`",
        "`{}` türünde yazılı yanıt desteklenmiyor",
    ),
    (
        "a written answer that only has to match a pattern",
        "yalnızca bir örüntüye uyması gereken yazılı yanıt desteklenmiyor",
    ),
    (
        "no choice is declared to be right",
        "doğru olduğu belirtilen seçenek yok",
    ),
    (
        "no response is declared to be right",
        "doğru olduğu belirtilen yanıt yok",
    ),
    (
        "numbers compared in more than one way",
        "birden çok biçimde karşılaştırılan sayılar desteklenmiyor",
    ),
    (
        "numbers compared by significant figures",
        "anlamlı basamakları karşılaştırılan sayılar desteklenmiyor",
    ),
    ("the range of numbers is empty", "sayı aralığı boş"),
    ("the tolerance is not a number", "tolerans bir sayı değil"),
];
