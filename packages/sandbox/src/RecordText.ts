/**
 * Words for made-up companies and people, of many scripts, with the characters that need escaping in JSON.
 */
import type { Seed } from "./Seed.js"

/** A list with at least one entry. */
export type Choices = readonly [string, ...ReadonlyArray<string>]

/** Stems of company names. */
export const stems: Choices = [
  "Zürich Analytics",
  "Łódź Systems",
  "株式会社 青空",
  "Malmö Robotics",
  "São Bento",
  "Acme, Inc.",
  "Ærø Marine",
  "北京云图",
  "Übermorgen",
  "O'Connor & Söhne",
  "Kıvılcım",
  "Δelta Grid",
  "주식회사 한빛",
  "Nordlys",
  "Café Données",
  "Пример Софт",
  "Halcyon Freight",
  "Verdant Foods",
  'Quill "Q" Press',
  "Bright🌱Harvest",
  "Tangerine Labs",
  "שלום Tech",
  "Cobalt Health",
  "Mañana"
]

/** Given names. */
export const givenNames: Choices = [
  "Zoë",
  "Łukasz",
  "Søren",
  "美咲",
  "José",
  "Anaïs",
  "Björn",
  "Nguyễn",
  "Priya",
  "Olena",
  "Kwame",
  "Siobhán",
  "Mehmet",
  "Chloë",
  "지우",
  "Amélie"
]

/** Family names. */
export const familyNames: Choices = [
  "Müller",
  "O'Brien",
  "Żółkiewski",
  "田中",
  "García",
  "Ångström",
  "Þórsson",
  "D’Angelo",
  "Okonkwo",
  "Шевченко",
  "Çelik",
  "Lefèvre",
  "Nakamura",
  "김"
]

/** Cities with their country. */
export const cities: Choices = [
  "Zürich, Switzerland",
  "São Paulo, Brazil",
  "東京, Japan",
  "Kraków, Poland",
  "Montréal, Canada",
  "Malmö, Sweden",
  "Bengaluru, India",
  "Reykjavík, Iceland",
  "Austin, United States",
  "İstanbul, Türkiye",
  "Nairobi, Kenya",
  "München, Germany"
]

/** Lines of business. */
export const industries: Choices = [
  "Software Development",
  "Food & Beverage",
  "Renewable Energy",
  "Logistics",
  "Biotechnology",
  "Financial Services",
  "Education",
  "Machinery",
  "Retail <online>",
  "Telecommunications"
]

/** Job titles. */
export const titles: Choices = [
  "VP, Engineering",
  "Head of Growth 🚀",
  "Staff Engineer",
  "Directrice générale",
  "Geschäftsführer",
  "Data Scientist (ML/AI)",
  "Account Executive",
  "代表取締役",
  "Chief of Staff",
  "Product Manager"
]

/** Sentences; some with quotes, backslashes, line breaks and tabs. */
export const sentences: Choices = [
  'Builds the data layer behind "always-on" supply chains.',
  "Fondée à Genève, présente dans 14 pays — dont le Québec.",
  "Wir liefern Größe, Qualität und Maß seit 1987.",
  "Paths such as C:\\data\\exports are still read every night.\nA second line says so.",
  "お客様の成功を第一に考えています。",
  "Trusted by teams in Zürich, Łódź and İzmir; 98% stay after year one.",
  "Our mission: fewer meetings,\tmore shipping. 🚢",
  "Сотрудничает с университетами по всей Европе.",
  "Raised from angels who had used the product for a year.",
  "Runs on wind, sun & stubbornness 🌬️☀️.",
  "The platform reconciles millions of records a day and explains every one of them.",
  "Hiring across research, operations and customer success."
]

/** About so many characters of prose. */
export const prose = (seed: Seed, length: number): string => {
  let text = seed.pick(sentences)
  while (text.length < length) text = `${text} ${seed.pick(sentences)}`
  return text
}

/** A day as `2024-05-17`. */
export const day = (seed: Seed): string =>
  `${seed.int(2004, 2025)}-${String(seed.int(1, 12)).padStart(2, "0")}-${String(seed.int(1, 28)).padStart(2, "0")}`
