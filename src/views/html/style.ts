import { LOOKS, SEVERITY, type AreaLook } from '../../report/index.ts';

/** Class that carries the colour of an area of causes: `--c` on the element. */
export function areaClass(look: AreaLook): string {
  return `area-${LOOKS.indexOf(look)}`;
}

const colours = (shade: 'light' | 'dark'): string =>
  [...LOOKS.map((look, i) => `.area-${i}{--c:${look[shade]}}`), ...Object.entries(SEVERITY).map(([name, look]) => `.sev-${name}{--s:${look[shade]}}`)].join('\n');

/** The whole style sheet. It is constant, so its hash can stand in the content security policy. */
export const STYLE = `
:root{color-scheme:light dark;--page:#ffffff;--card:#ffffff;--ink:#1a1d21;--soft:#555c66;--line:#d8dce2;--well:#f3f5f7;--link:#1a56b0;font:16px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
${colours('light')}
@media (prefers-color-scheme:dark){
:root{--page:#12161c;--card:#171c23;--ink:#e6e9ed;--soft:#a9b1bb;--line:#333b46;--well:#0c0f13;--link:#8ab8ff}
${colours('dark')}
}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink)}
main,header,footer{max-width:1020px;margin:0 auto;padding:0 20px}
main{display:block}
.sheet header{margin-top:22px;padding-top:14px;padding-bottom:12px;border:1px solid var(--line);border-left:8px solid var(--s);border-radius:10px;background:var(--card)}
.sheet .sev-none{--s:#3c8a3c}
.sheet h1{margin:.1em 0 .25em}
dl.answers{display:grid;grid-template-columns:6.5rem minmax(0,1fr);gap:.5em 1.1em;margin:.9em 0 1em;padding:.8em 0;border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
dl.answers dt{color:var(--soft)}
dl.answers dd{margin:0}
dl.answers pre{margin:.4em 0 .1em}
.sheet nav{display:flex;flex-wrap:wrap;gap:.2em 1.4em;margin:1.1em 0 0;font-size:.95rem}
section{scroll-margin-top:10px}
article{scroll-margin-top:10px}
article:target{outline:2px solid var(--link);outline-offset:3px}
:focus-visible{outline:2.5px solid var(--link);outline-offset:2px;border-radius:4px}
.kind{display:flex;flex-wrap:wrap;gap:.2em .7em;align-items:center}
.up{margin-left:auto;font-size:.875rem}
h1{font-size:1.75rem;line-height:1.25;margin:.2em 0 .3em}
h2{font-size:1.25rem;margin:2.2em 0 .6em}
h3{font-size:1.2rem;line-height:1.35;margin:0 0 .3em}
h4{font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:1.5em 0 .4em}
p{margin:.3em 0 .7em}
a{color:var(--link)}
body{overflow-wrap:anywhere}
code,pre,.mono{font-family:ui-monospace,"Cascadia Mono","DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:.875rem}
.soft{color:var(--soft)}
.brand{font-weight:600;color:var(--soft)}
.brand b{color:var(--ink)}
dl.facts{display:grid;grid-template-columns:fit-content(14rem) minmax(0,1fr);gap:.15em 1.1em;margin:.6em 0}
dl.facts dt{color:var(--soft)}
dl.facts dd{margin:0}
.badge{display:inline-block;border:1.5px solid var(--s);color:var(--s);border-radius:4px;padding:0 .5em;font-size:.78rem;font-weight:700;letter-spacing:.03em;vertical-align:.12em;white-space:nowrap}
.area{display:inline-block;color:var(--c);font-weight:600;font-size:.85rem}
.area::before{content:"";display:inline-block;width:.7em;height:.7em;border-radius:2px;background:var(--c);margin-right:.4em}
ol.ranked{padding:0;margin:0;list-style:none;border-top:1px solid var(--line)}
ol.ranked li{display:grid;grid-template-columns:6.6rem 9.5rem 1fr;gap:.2em 1em;padding:.5em 0;border-bottom:1px solid var(--line);align-items:baseline}
ol.ranked .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
ol.ranked .who{color:var(--soft);font-size:.9rem;display:block}
article{background:var(--card);border:1px solid var(--line);border-left:6px solid var(--s);border-radius:8px;padding:20px 22px;margin:0 0 22px}
article .meta{color:var(--soft);font-size:.9rem}
.loss{font-size:1.05rem}
.culprit{border:1px solid var(--line);border-radius:6px;padding:.7em .9em;margin:1em 0}
.culprit b{display:block;font-size:.8rem;color:var(--soft);letter-spacing:.06em;text-transform:uppercase}
.remedy{margin:.2em 0 1em}
.remedy p{margin:.2em 0 .35em}
.first{font-weight:600}
.risk{color:var(--soft);font-weight:400;font-size:.9rem;white-space:nowrap}
pre.cmd{background:var(--well);border:1px solid var(--line);border-radius:6px;padding:.65em .8em;margin:.2em 0 .35em;white-space:pre-wrap;user-select:all;-webkit-user-select:all;cursor:pointer}
.undo{font-size:.9rem;color:var(--soft)}
ul.plain{list-style:none;padding:0;margin:0}
ul.plain>li{margin:0 0 .35em}
.src{font-weight:600}
.time{color:var(--soft);font-variant-numeric:tabular-nums;margin-right:.6em;font-size:.875rem}
.stack{background:var(--well);border-radius:6px;padding:.6em .8em;margin:0;white-space:pre-wrap}
details{margin-top:1.2em}
details.flat{margin-top:.5em}
summary{cursor:pointer;color:var(--link)}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th{text-align:left;white-space:nowrap;overflow-wrap:normal;color:var(--soft);font-weight:600;border-bottom:1px solid var(--line);padding:.3em .8em .3em 0}
td{border-bottom:1px solid var(--line);padding:.35em .8em .35em 0;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
figure{margin:0}
figure>svg{display:block}
.scroll{overflow-x:auto}
.row{display:grid;grid-template-columns:15rem 1fr 8.5rem;gap:0 .9em;align-items:center;border-bottom:1px solid var(--line);padding:.35em 0}
.row svg{display:block;width:100%;height:40px}
.row .peak{font-size:.85rem;line-height:1.35;color:var(--soft);text-align:right;font-variant-numeric:tabular-nums}
.row .peak{display:flex;flex-direction:column}
.peak span{white-space:nowrap}
.axis{display:grid;grid-template-columns:15rem 1fr 8.5rem;gap:0 .9em;font-size:.82rem;color:var(--soft);font-variant-numeric:tabular-nums}
.axis svg{grid-column:2;overflow:visible}
.axis text{font-family:inherit;font-size:.78rem;fill:var(--soft)}
.tick{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
h3.small{font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:1.3em 0 .4em}
ol.steps{display:none;list-style:none;padding:0;margin:0}
ol.steps li{border-left:3px solid var(--line);padding:.15em 0 .15em .8em;margin:0 0 .45em}
ol.steps .lost{border-color:var(--s)}
ol.steps .lost b{color:var(--s)}
.fill{fill:var(--c)}
.edge{stroke:var(--c);stroke-width:1.6;fill:none;vector-effect:non-scaling-stroke}
.count{--c:var(--soft)}
svg text{font-family:ui-monospace,"Cascadia Mono","DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:12px;fill:var(--ink)}
svg .dim{fill:var(--soft)}
svg .rail{stroke:var(--line);stroke-width:1.5;stroke-dasharray:3 4}
svg .actor{fill:var(--well);stroke:var(--line)}
svg .arrow{stroke:var(--ink);stroke-width:1.4;fill:none}
svg .head{fill:var(--ink)}
svg .lost .arrow,svg .lost .cross{stroke:var(--s)}
svg .lost .head,svg .lost text.say{fill:var(--s);font-weight:700}
svg .cause .arrow{stroke-width:2.4}
svg .cause text.say{font-weight:700}
svg .cross{stroke-width:2.4}
svg .flame svg{overflow:hidden}
svg .flame rect{fill:var(--c);fill-opacity:.2;stroke:var(--c);stroke-width:.8}
.none{border-left:6px solid #2e6b2e;padding:.6em 1em;background:var(--well);border-radius:6px}
footer{padding-top:10px;padding-bottom:40px;color:var(--soft);font-size:.9rem}
@media (max-width:640px){
main,header,footer{padding-left:14px;padding-right:14px}
.sheet header{margin:10px 10px 0}
dl.answers{grid-template-columns:minmax(0,1fr);gap:.1em}
dl.answers dd{margin-bottom:.5em}
dl.answers dt{font-size:.85rem}
.sheet nav{gap:.7em 1.4em}
ol.steps{display:block}
.rails{display:none}
h1{font-size:1.4rem}
article{padding:14px 14px}
ol.ranked li{grid-template-columns:auto 1fr}
ol.ranked .n{text-align:left}
ol.ranked .what{grid-column:1/-1}
dl.facts{grid-template-columns:minmax(0,1fr)}
dl.facts dt{margin-top:.35em;font-size:.85rem}
.row,.axis{grid-template-columns:1fr auto}
.row svg{grid-column:1/-1;grid-row:2}
.axis svg{grid-column:1/-1}
.flows thead{position:absolute;left:-10000px}
.flows tr{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:.05em .8em;border-bottom:1px solid var(--line);padding:.5em 0}
.flows td{border:0;padding:0}
.flows .by{order:1}
.flows td.n{order:2;font-weight:600}
.flows [data-label]{order:3;grid-column:1/-1}
.flows .failed{order:4}
.flows .protocol{order:5;color:var(--soft)}
.flows [data-label]::before{content:attr(data-label);display:inline-block;width:3.2rem;color:var(--soft);font-family:system-ui,sans-serif}
.flows td:empty{display:none}
}
@media print{
:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--well:#f6f6f6;--link:#000;font-size:10pt}
${colours('light')}
@page{margin:14mm}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
main,header,footer{max-width:none;padding-left:0;padding-right:0}
.sheet header{margin-top:0;padding-left:14px;padding-right:14px}
.sheet nav,.up,.screen{display:none}
h2{margin-top:1.5em}
article{break-inside:auto;border-radius:0;padding:12px 14px;box-decoration-break:clone;-webkit-box-decoration-break:clone}
.culprit,.remedy,.row,pre.cmd,tr,li,figure,dl.answers,.sheet header,.axis{break-inside:avoid}
h2,h3,h4,.kind{break-after:avoid}
.kind,h3,h3+.loss{break-after:avoid}
.axis,.axis+p.soft{break-before:avoid}
h2+p.soft{break-after:avoid}
p,li,dd{orphans:3;widows:3}
details::details-content{content-visibility:visible;block-size:auto}
summary{list-style:none;color:var(--soft);break-after:avoid}
table{font-size:.9rem}
table .mono{font-size:.8rem}
ol.ranked li{grid-template-columns:5.6rem 7.6rem 1fr}
.row,.axis{grid-template-columns:12rem 1fr 7rem}
.scroll{overflow:visible}
.scroll svg{max-width:100%;height:auto}
footer{padding-bottom:0;break-before:avoid}
}
`;
