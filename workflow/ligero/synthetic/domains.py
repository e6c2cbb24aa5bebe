"""Sentence patterns of the domains: four kinds of newspaper text, tales, manuals, conversations, and biographies."""

from __future__ import annotations

# Any of the four newspaper topics: they must not betray the topic.
NEUTRAL_NEWS = (
    "[ayer|hoy|el/DET day] per v:hablar|explicar.pret [con la/DET prensa/NOUN|ante los/DET periodistas/NOUN] en loc .",
    "per v:decir.pret el/DET day que > los:economista v:esperar.pres más noticias/NOUN .",
    "según full , el/DET plan/NOUN v:costar.fut amount millones de euros .",
    "en year , per v:trabajar.pret para org durante amount meses/NOUN .",
    'per v:añadir|asegurar.pret : " > el:instituto v:tomar.fut una decisión/NOUN el/DET day " .',
    "el/DET acuerdo/NOUN entre org y org v:llegar.pret tarde .",
    "la/DET reunión/NOUN [de org|de el:instituto] v:empezar.pret en loc el/DET day .",
)

NEWS: dict[str, tuple[str, ...]] = {
    "CCAT": (
        "org v:comprar|vender.pret un:compania en loc por amount millones de [euros|pesos] .",
        "el:directivo de brand v:anunciar|presentar.pret un:negocio [en loc|el/DET day] .",
        "brand v:abrir|cerrar.fut amount bare:negocio en pais y > v:contratar|despedir.fut a amount empleados/NOUN .",
        "el:compania v:ganar|perder.pret amount millones de euros en year .",
        "los:directivo v:firmar.pret el:negocio con org .",
        "full , nuevo/ADJ director/NOUN de brand , v:prometer.pret más bare:negocio .",
        "el:compania no v:pagar.pret su:negocio porque > los:directivo v:perder.pret el:negocio .",
        "las/DET ventas/NOUN de brand >> v:subir|bajar.pret un/DET small % en month .",
    ),
    "ECAT": (
        "el:indicador+economico de pais v:subir|bajar|crecer.pret un/DET small % en month .",
        "el:economista v:explicar.pret que > el:indicador v:crecer|bajar.fut en year .",
        "el/DET banco/NOUN central/ADJ v:calcular|revisar.pret el:indicador de month .",
        "los:indicador+economico de pais v:bajar|subir.pret más que los:indicador de pais .",
        "el/DET gobierno/NOUN de pais v:revisar.fut su:indicador para year .",
        "el:indicador v:llegar.pret a amount millones , según el/DET FMI/PROPN .",
        "con el:indicador tan/ADV alto/ADJ , los:economista v:pedir.pres más ahorro/NOUN .",
    ),
    "GCAT": (
        "el:politico de loc v:visitar|inaugurar.pret el:obra+calidad de loc [el/DET day|ayer] .",
        "el:instituto v:aprobar|rechazar.pret el:norma+politico con amount votos/NOUN .",
        "la/DET policía/NOUN v:detener.pret a amount personas/NOUN en loc .",
        "el:politico v:defender|criticar.pret el:norma ante el:instituto .",
        "club v:ganar|perder.pret el/DET partido/NOUN contra club por small a small .",
        "los:oficio de el:obra v:protestar.pret contra el:norma en loc .",
        "el:politico sur v:prometer.pret un:obra+calidad para los:oficio .",
        "per v:ganar.pret elmisc en loc .",
        "el:instituto de pais v:condenar.pret a el:politico sur por un/DET robo/NOUN .",
    ),
    "MCAT": (
        "los:titulo de brand v:subir|bajar|cerrar.pret en amount puntos [en la/DET bolsa/NOUN|en loc] .",
        "el/DET precio de el:materia v:subir|bajar|caer.pret a amount dólares/NOUN en la/DET bolsa/NOUN de loc .",
        "el:titulo v:cerrar.pret [en amount pesos|con pérdidas/NOUN|con ganancias/NOUN] el/DET day .",
        "el:economista v:recomendar.pret comprar/VERB bare:titulo de brand .",
        "la/DET bolsa/NOUN de loc v:abrir|cerrar.pret con ganancias/NOUN de amount puntos .",
        "la/DET cosecha/NOUN de nuda:materia de pais v:llegar.fut a amount toneladas/NOUN .",
        "los:economista v:vender|comprar.pret el:materia y bare:titulo por miedo/NOUN .",
    ),
}

TALES = (
    "[había una/DET vez|hace/VERB mucho/DET tiempo] > un:personaje que v:vivir.impf en un:paraje+calidad .",
    "el:personaje v:buscar|guardar.impf un:objeto+calidad en el:paraje .",
    "el:animal v:correr|dormir|cantar.impf cada noche en el:paraje .",
    "[un/DET día/NOUN|una noche|entonces/ADV] el:personaje v:encontrar.pret un:objeto bajo el:paraje .",
    "— ¡ ay , qué/DET noche más adj:caracter ! — > v:gritar.pret el:personaje .",
    "el:personaje le v:dar.pret el:objeto a el:personaje y se v:marchar.pret a el:paraje .",
    "los:animal v:seguir.pret a el:personaje hasta el:paraje+calidad .",
    "el:personaje era adj:caracter , pero > su:familia era adj:caracter .",
    "nadie v:ver.pret a el:personaje cuando v:abrir.pret el:objeto .",
    "el:personaje v:perder.pret el:objeto , y > el:animal lo v:encontrar.pret .",
    "los:personaje v:llorar|cantar|bailar.pret toda/DET la/DET noche en el:paraje .",
    "si v:querer.pres el:objeto , — > v:decir.pret el:personaje — v:entregar.imp num:animal .",
    "finalmente , el:personaje v:volver.pret a su:paraje y v:vivir.pret allí muchos/DET años .",
    "el:personaje v:comer.pret nuda:comida y v:beber.pret vino bajo el:paraje .",
    "first v:soñar.impf con el:objeto de el:personaje .",
)

MANUALS = (
    "v:pulsar|girar|limpiar.imp el:pieza+tecnico antes de v:encender|usar.inf el:aparato .",
    "para v:abrir|cerrar|cambiar.inf el:pieza , v:apagar|desconectar.imp primero/ADV el:aparato .",
    "si el:pieza+tecnico no v:funcionar.pres , v:cambiar|revisar.imp el:pieza .",
    "no v:abrir|tocar.imp el:pieza mientras > el:aparato está en marcha/NOUN .",
    "el:aparato v:tener.pres num:pieza y un:pieza+tecnico .",
    "v:guardar|abrir|copiar.imp el:dato en un:dato+calidad .",
    "el:pieza+tecnico v:mostrar.pres el:dato durante small segundos/NOUN .",
    "v:conectar.imp el:pieza a el:aparato con el:pieza+tecnico .",
    "cuando > el:aparato v:terminar.pres , el:pieza se v:apagar.pres .",
    "este:dato v:explicar.pres cómo/ADV v:usar|limpiar|conectar.inf el:aparato .",
    "el:dato v:costar.pres amount € con el:aparato .",
    "v:esperar.imp small minutos/NOUN y v:pulsar.imp el:pieza otra vez .",
    "instale/VERB el/DET software online antes de abrir/VERB el:dato , el:dato , etc.",
    "el:pieza v:medir.pres amount metros y v:pesar.pres small kilos .",
)

TALK = (
    "— hola , first , ¿ dónde está el:familia ?",
    "— no lo sé/VERB , creo/VERB que está en el:obra .",
    "— ¿ cuándo v:llegar.pres tu:familia ?",
    "— [el/DET day por la/DET mañana|mañana por la/DET tarde|a las/DET small] , con first .",
    "— ¿ te gusta/VERB el:comida ?",
    "— sí/INTJ , pero > el:comida está más rica/ADJ que el:comida .",
    "— el:familia de first v:comprar.pret num:comida [ayer|esta mañana|en loc] .",
    "— bueno , gracias , > first lo v:llevar.fut mañana .",
    "— oye , first , ¿ v:querer.pres nuda:comida o nuda:comida ?",
    "— nunca v:comer.impf nuda:comida cuando v:vivir.impf en loc .",
    "— su:familia v:trabajar.pres como un:oficio en loc .",
    "— el:familia v:cocinar.pret nuda:comida y nadie la/PRON v:probar.pret .",
    "— me parece/VERB que > el:familia v:ser.pres adj:caracter .",
    "— el:familia v:vender.pret su:vehiculo por amount euros .",
    "— si first no v:llegar.pres temprano , > el:familia v:cenar.fut sin él .",
)

# Words that are several parts of speech; only the neighbours decide.
AMBIGUOUS_POS = (
    "el:oficio v:trabajar.pres bajo el:obra y v:hablar.pres bajo/ADV .",
    "el/DET trabajo de el:oficio no v:terminar.pres nunca .",
    "yo trabajo/VERB en loc y first v:trabajar.pres en loc .",
    "first v:beber.pret vino cuando el:familia vino/VERB a casa/NOUN .",
    "el:familia vino/VERB de loc con el/DET vino para la/DET cena/NOUN .",
    "yo río/VERB mucho/ADV cuando first v:cruzar.pres el/DET río .",
    "la/DET vio/VERB first en la/DET plaza/NOUN , pero first no la/PRON v:ver.pret .",
    "el:familia la/PRON v:guardar.pret y los/PRON v:vender.pret en loc .",
    "el/DET tren/NOUN para/VERB en loc para cargar/VERB nuda:materia .",
    "una/DET cosa/NOUN es como es/AUX , como/VERB nuda:comida como siempre .",
    "el:familia v:dejar.pret el/DET sobre/NOUN sobre la/DET mesa/NOUN .",
    "first nada/VERB en el/DET río y no v:decir.pres nada .",
    "la/DET casa/NOUN es grande/ADJ , pero ella casa/VERB a su:familia mañana .",
    "mañana v:llegar.fut el:familia , por la/DET mañana/NOUN .",
    "quiero/VERB que > el/DET hombre/NOUN que/PRON v:cantar.pres v:volver.fut .",
    "el/DET ex presidente/NOUN de org v:viajar.pret a pais .",
    "¡ hola , first ! ¿ qué v:hacer.pres el:familia ahora ?",
    "el/DET amount % de los:oficio >> v:tener.pres un:vehiculo .",
    "él cuenta/VERB la/DET cuenta/NOUN y ella v:pagar.pres el:comida .",
    "el/DET software de org v:costar.pres amount $ online .",
)

# Names that are persons, places and clubs: what stands beside them decides.
ENTITY_NEWS = (
    "[ayer|hoy|] el:politico sur v:visitar.pret loc .",
    "sur , de loc , v:trabajar.pres en org [desde year|] .",
    "club v:vencer.pret a club en loc por small a small .",
    "sur v:decir.pret que > club v:ganar.fut elmisc .",
    "el/DET equipo/NOUN de loc v:perder.pret contra club el/DET day .",
    "org v:comprar|vender.pret brand por amount millones de euros .",
    "full v:viajar.pret a loc para v:presentar.inf elmisc .",
    "elmisc v:empezar.fut en loc ( pais ) el/DET day .",
    "la/DET señora/NOUN sur v:vivir.pres en loc con first .",
    "loc ( pais ) , amount month ( org ) .",
    "los:oficio de org y de eluni v:protestar.pret en loc .",
    "sur v:vencer.pret a sur en elmisc de year .",
    "según sur , la/DET carretera/NOUN de loc a loc v:costar.fut amount millones .",
    "full y full >> v:jugar.fut con club en pais .",
    "el/DET entrenador/NOUN sur no v:hablar.pret de club .",
    "el/DET alcalde/NOUN de loc , sur , v:criticar.pret a org .",
    "la/DET noticia/NOUN de brand v:llegar.pret tarde a el:instituto .",
)
