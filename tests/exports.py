"""A small synthetic file in the shape of each export, by file name: what the platforms give, with invented people."""

HEADER = "order_id,ordered_at,email,market,currency,amount"  # of a plain file of orders
GOOD = f"{HEADER}\n1,2026-03-01,anna@mail.test,DE,EUR,10.00\n2,2026-03-02,bert@mail.test,FR,EUR,20.00\n"

SHOPIFY = """Name,Email,Financial Status,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Created at,\
Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Lineitem discount,Shipping Name,Shipping Country,Shipping Phone,Cancelled at,\
Payment Method,Refunded Amount,Tags,Source
#1001,Anna@Mail.test ,paid,fulfilled,EUR,119.00,0.00,19.00,119.00,WELCOME,11.90,2026-03-29 01:30:00 +0100,1,Tent,100.00,T-1,0,Anna Muster,DE,\
'+49301234567,,Shopify Payments,0.00,"channel:paid_social, campaign:spring",web
#1001,Anna@Mail.test,,,,,,,,,,2026-03-29 01:30:00 +0100,2,"Peg, ""steel"" XL",15.45,P-1,0,,,,,,,,
#1002,bert@mail.test,partially_refunded,fulfilled,JPY,1500,500,0,2000,,0,2026-07-01 23:30:00 +0200,1,Peg,1500,P-1,0,Bert Muster,JP,,,PayPal,500,,web
#1003,anna@mail.test,voided,unfulfilled,EUR,50.00,5.00,8.78,55.00,,0,2026-07-02 10:00:00 +0200,1,Peg,50.00,P-1,0,Anna Muster,NA,,\
2026-07-03 10:00:00 +0200,Cash on Delivery (COD),0,cod-refused,web
#1004,,paid,fulfilled,EUR,10.00,0,1.60,10.00,,0,2026-07-03 10:00:00 +0200,1,Peg,10.00,P-1,0,,,,,Cash,0,,pos
#1005,anna@mail.test,paid,fulfilled,EUR,23.80,0,3.80,23.80,,0,2026-07-04 10:00:00 +0200,1,Gas,23.80,G-1,0,Anna Muster,DE,,,\
Shopify Payments,0,,subscription_contract
"""
AMAZON = """amazon-order-id\tmerchant-order-id\tpurchase-date\tlast-updated-date\torder-status\tfulfillment-channel\tsales-channel\turl\tproduct-name\tsku\t\
asin\titem-status\tquantity\tcurrency\titem-price\titem-tax\tshipping-price\tshipping-tax\titem-promotion-discount\tship-city\tship-country\tpromotion-ids
302-1\t\t2026-03-01T23:30:00+00:00\t2026-03-02T08:00:00+00:00\tShipped\tAmazon\tAmazon.de\t\tTent 5" pole\tT-1\tB01\tShipped\t2\tEUR\t238.00\t38.00\t0.00\t0.00\t-11.90\tBerlin\tDE\t
302-1\t\t2026-03-01T23:30:00+00:00\t2026-03-02T08:00:00+00:00\tShipped\tAmazon\tAmazon.de\t\tPeg\tP-1\tB02\tCancelled\t0\t\t\t\t\t\t\tBerlin\tDE\t
302-2\t\t2026-03-02T10:00:00+00:00\t2026-03-02T10:00:00+00:00\tPending\tAmazon\tAmazon.de\t\tPeg\tP-1\tB02\tUnshipped\t1\t\t\t\t\t\t\tKöln\tDE\t
302-3\t\t2026-03-03T10:00:00+00:00\t2026-03-03T10:00:00+00:00\tShipped\tAmazon\tAmazon.com\t\tPeg\tP-1\tB02\tShipped\t1\tUSD\t20.00\t1.60\t5.00\t0.40\t\tAustin\tUS\t
S02-1\t#1001\t2026-03-29T00:30:00+00:00\t2026-03-29T00:30:00+00:00\tShipped\tAmazon\tNon-Amazon\t\tTent\tT-1\tB01\tShipped\t1\t\t\t\t\t\t\tBerlin\tDE\t
"""
SETTLEMENT = """settlement-id\tsettlement-start-date\tdeposit-date\ttotal-amount\tcurrency\ttransaction-type\torder-id\tmarketplace-name\tamount-type\t\
amount-description\tamount\tposted-date\tsku
77\t2026-03-01\t2026-03-15\t69,55\tEUR\t\t\t\t\t\t\t\t
77\t\t\t\t\tOrder\t302-1\tAmazon.de\tItemPrice\tPrincipal\t200,00\t13.03.2026\tT-1
77\t\t\t\t\tOrder\t302-1\tAmazon.de\tItemFees\tCommission\t-30,45\t13.03.2026\tT-1
77\t\t\t\t\tRefund\t302-1\tAmazon.de\tItemPrice\tPrincipal\t-50,00\t14.03.2026\tT-1
77\t\t\t\t\tServiceFee\t\tAmazon.de\tCost of Advertising\tCost of Advertising\t-50,00\t14.03.2026\t
"""
FBA_RETURNS = """return-date,order-id,sku,asin,fnsku,product-name,quantity,fulfillment-center-id,detailed-disposition,reason,status,license-plate-number,customer-comments
2026-03-20T10:00:00+00:00,302-3,P-1,B02,X,Peg,1,FTW1,SELLABLE,UNWANTED_ITEM,Unit returned to inventory,LPN1,Anna says it leaks
"""
REPEAT = """{"reportSpecification": {"reportType": "GET_BRAND_ANALYTICS_REPEAT_PURCHASE_REPORT"}, "dataByAsin": [{"startDate": "2026-03-01",
"endDate": "2026-03-31", "asin": "B01", "orders": 40, "uniqueCustomers": 36, "repeatCustomersPctTotal": 0.0833,
"repeatPurchaseRevenue": {"amount": 310.5, "currencyCode": "EUR"}, "repeatPurchaseRevenuePctTotal": 0.1}]}"""
WOO = """order_id,order_number,order_date,status,shipping_total,shipping_tax_total,tax_total,discount_total,order_total,order_subtotal,order_currency,\
payment_method,customer_id,customer_email,billing_first_name,billing_phone,billing_country,shipping_country,item_name,item_sku,item_quantity,item_total
501,501,3/14/2026 21:05:00,completed,5.00,0,9.50,10.00,64.50,60.00,EUR,stripe,0,cora@mail.test,Cora,+4930111,DE,DE,Tent,T-1,1,40.00
501,501,3/14/2026 21:05:00,completed,5.00,0,9.50,10.00,64.50,60.00,EUR,stripe,0,cora@mail.test,Cora,+4930111,DE,DE,Peg,P-1,2,20.00
502,502,3/15/2026 09:00:00,refunded,0,0,0,0,20.00,20.00,EUR,cod,0,dora@mail.test,Dora,,DE,AT,Peg,P-1,2,20.00
"""
WOO_ANALYTICS = """Date,Order #,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,Coupon(s),Net Sales,Attribution
2026-03-14 21:05:00,601,€50.00,completed,Emil Muster,new,1× Tent,1,,50.00,Organic
2026-03-20 09:00:00,601,-€20.00,refunded,Emil Muster,new,1× Tent,1,,-20.00,
"""
MAGENTO = """"ID","Purchase Point","Purchase Date","Bill-to Name","Ship-to Name","Grand Total (Base)","Grand Total (Purchased)","Status","Customer Email",\
"Subtotal","Shipping and Handling","Total Refunded","Payment Method"
"000000701","Main","Mar 14, 2026 9:05:00 PM","Fritz Muster","Fritz Muster","$1,235.50","$1,235.50","Complete","fritz@mail.test","$1,230.50","$5.00","$0.00","cashondelivery"
"""
TIKTOK_SHOP = """Order ID,Order Status,Order Substatus,SKU ID,Seller SKU,Product Name,Quantity,SKU Subtotal After Discount,Order Amount,Order Refund Amount,\
Created Time,Buyer Username,Country,Payment Method
Platform unique order ID.,,,,,,,,,,,,,
801,Completed,Delivered,11,T-1,Tent,1,40.00,65.00,20.00,13/03/2026 20:00:00,user_g,US,Card
801,Completed,Delivered,12,P-1,Peg,2,20.00,65.00,20.00,13/03/2026 20:00:00,user_g,US,Card
802,Completed,Delivered,12,P-1,Peg,1,10.00,10.00,0,03/04/2026 08:00:00,u***g,US,Card
"""
STRIPE = """id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Converted Amount,Fee,Status,Customer ID,Customer Email,Description
ch_1,2026-03-31 22:30,25.00,5.00,eur,true,25.00,1.00,Paid,cus_1,anna@mail.test,Subscription update
ch_2,2026-04-01 10:00,1500,0,jpy,true,9.00,1.00,Failed,cus_2,hans@mail.test,Shop
"""
PAYPAL = """"Date","Time","TimeZone","Name","Type","Status","Currency","Gross","Fee","Net","From Email Address","To Email Address","Transaction ID",\
"Reference Txn ID","Balance Impact","Country Code"
"13.03.2026","10:00:00","Europe/Berlin","Ida Muster","Express Checkout Payment","Completed","EUR","1.100,00","-20,00","1.080,00","ida@mail.test","shop@mail.test","TX1","","Credit","DE"
"14.03.2026","10:00:00","Europe/Berlin","Ida Muster","Payment Refund","Completed","EUR","-100,00","0,00","-100,00","shop@mail.test","ida@mail.test","TX2","TX1","Debit",""
"14.03.2026","11:00:00","Europe/Berlin","PayPal","General Currency Conversion","Completed","EUR","-5,00","0,00","-5,00","","","TX3","","Debit",""
"""
GOOGLE = """Campaign performance
"March 1, 2026 - March 31, 2026"
Day,Campaign,Country/Territory (User location),Currency code,Clicks,Impr.,Cost
2026-03-01,Brand,Germany,EUR,10,100,"1,012.50"
2026-03-02,Brand,(unknown),EUR,10,100, --
Total: Account, --, --,EUR,20,200,"1,012.50"
"""
META = """\ufeffJour;Nom de la campagne;Pays;Montant dépensé (USD);Impressions
2026-03-01;Printemps;FR;1.012,50;100
2026-03-02;Printemps;unknown;7,25;100
"""
TIKTOK_ADS = """Date,Campaign name,Country/Region,Cost (EUR),Impressions,Clicks (destination)
2026-03-01,Video,GB,30.25,1,1
Total of 1 results,-,-,30.25,-,-
"""
AMAZON_ADS = """Date,Campaign Name,Currency,Impressions,Clicks,Spend,7 Day Total Sales ,7 Day Total Orders (#)
"Mar 1, 2026",Auto,EUR,10,1,3.50,20.00,1
"""
HUBSPOT = """Record ID,First Name,Last Name,Email,Phone Number,Create Date,Unsubscribed from all email
1,Anna,Muster,anna@mail.test,+49301234567,2025-12-24 18:00,false
"""
SALESFORCE = """Id,LastName,Email,CreatedDate,HasOptedOutOfEmail,IsDeleted
0035e00000AbCdE,Muster,bert@mail.test,2026-01-05T10:00:00.000Z,true,false
0035e00000AbCdF,Muster,gone@mail.test,2026-01-05T10:00:00.000Z,true,true
"""
KLAVIYO = """Email,Klaviyo ID,First Name,Last Name,Phone Number,Address,Country,Profile Created On,Email Marketing Consent,SMS Marketing Consent
cora@mail.test,01H,Cora,Muster,+4930111,Musterstr. 1,Germany,2026-02-01 08:00:00+00:00,SUBSCRIBED,NEVER_SUBSCRIBED
"""
SHOPIFY_CUSTOMERS = """First Name,Last Name,Email,Accepts Email Marketing,Accepts SMS Marketing,Total Spent,Total Orders,Note
Dora,Muster,dora@mail.test,yes,no,20.00,1,
"""
ZENDESK = """Ticket ID,Created at,Solved at,Requester email,First reply time (min),Ticket country,Subject
20001,2026-03-31 22:30:00,2026-04-01 08:00:00,anna@mail.test,78,DE,Where is my order?
"""
GORGIAS = """Ticket id,Created datetime,Closed datetime,Customer email,Channel,Contact reason
g1,2026-03-12T10:00:00Z,2026-03-12T11:00:00Z,bert@mail.test,email,Return
"""
SURVEYS_WIDE = """Submitted at,Email address,NPS score,CSAT score,comments
2026-03-12 10:00:00,anna@mail.test,9,4,Call me on 030 123456
2026-03-13 10:00:00,bert@mail.test,,2,
"""
GENERIC = """order number;date;customer_email;country;currency;sku;item name;qty;price;note
9001;13.03.2026;jan@mail.test;Deutschland;EUR;T-1;Tent;2;10,50;
9002;14.03.2026;jan@mail.test;Österreich;EUR;T-1;Tent;1;1.010,00;
9003;15.03.2026;jan@mail.test;Österreich;EUR;T-1;Tent;-1;10,50;credit note
"""
CANONICAL = {
    "retention_costs.csv": "month,category,component,market,channel,amount,currency,existing_share,allocation,source\n"
    "2026-03,marketing,email,ALL,email,310.00,USD,1,active_customers,invoice 7\n",
    "acquisition_spend.csv": "date,channel,campaign,market,amount,currency,kind\n2026-03-01,influencer,x,DE,99.90,EUR,media\n",
    "refunds.csv": "order_id,refund_date,amount,currency,reason\n#1005,2026-07-10,10.00,EUR,damaged\n",
    "deliveries.csv": "order_id,promised_date,delivered_date,status\n#1001,2026-04-02,2026-04-01,\n",
    "referrals.csv": "email,referrer_email,order_id\nbert@mail.test,ANNA@mail.test,\n",
    "campaigns.csv": "campaign_id,email,arm,sent_date,channel,action,segment,cost,currency\n"
    "c1,anna@mail.test,treated,2026-03-01,email,coupon,lapsed,0.35,EUR\nc1,bert@mail.test,holdout,2026-03-01,email,coupon,lapsed,0,EUR\n",
    "surveys.csv": "survey_id,kind,email,market,answered_date,score,scale_min,scale_max,direction,sent_id,comment\n"
    "w1,ces,anna@mail.test,DE,2026-03-03,6,1,7,higher,s1,\n",
    "surveys_sent.csv": "sent_id,email,sent_date,channel\ns1,anna@mail.test,2026-03-01,email\n",
    "engagement.csv": "date,email,signal,value\n2026-03-01,anna@mail.test,visits,3\n",
    "subscriptions.csv": "subscription_id,email,date,kind,mrr_delta,currency\nsub1,anna@mail.test,2026-03-01,new,23.80,EUR\n",
    "tickets.csv": "ticket_id,email,market,opened_at,first_reply_minutes,solved_at,reason,cost,currency\nt1,cora@mail.test,DE,2026-03-02,12,,return,2.50,EUR\n",
    "products.csv": "product_id,category,unit_cost,currency\nT-1,Tents,40.00,EUR\n",
    "fx.csv": "date,currency,rate\n2026-03-01,AED,0.23\n",
}
FILES = {
    "orders_export_eu.csv": SHOPIFY,
    "amazon_all.txt": AMAZON,
    "settlement.txt": SETTLEMENT,
    "fba_returns.csv": FBA_RETURNS,
    "repeat.json": REPEAT,
    "woo_export.csv": WOO,
    "woo_analytics.csv": WOO_ANALYTICS,
    "magento_grid.csv": MAGENTO,
    "tiktok_shop.csv": TIKTOK_SHOP,
    "stripe.csv": STRIPE,
    "paypal.csv": PAYPAL,
    "google.csv": GOOGLE,
    "meta.csv": META,
    "tiktok_ads.csv": TIKTOK_ADS,
    "amazon_ads.csv": AMAZON_ADS,
    "hubspot.csv": HUBSPOT,
    "salesforce.csv": SALESFORCE,
    "klaviyo.csv": KLAVIYO,
    "shopify_customers.csv": SHOPIFY_CUSTOMERS,
    "zendesk.csv": ZENDESK,
    "gorgias.csv": GORGIAS,
    "surveys_wide.csv": SURVEYS_WIDE,
    "own_shop.csv": GENERIC,
    **CANONICAL,
}
CLIENT = """name = "Acme"
currency = "EUR"
time_zone = "Europe/Berlin"
margin = { rate = 0.4 }
"""
SOURCES = """
[sources.eu]
files = "orders_export_eu*.csv"
time_zone = "Europe/Berlin"
[sources.woo-analytics]
files = "woo_analytics*"
currency = "EUR"
market = "DE"
[sources.magento]
files = "magento*"
currency = "USD"
market = "US"
time_zone = "America/New_York"
[sources.tiktok-shop]
files = "tiktok_shop*"
currency = "USD"
[sources.gorgias]
files = "gorgias*"
currency = "USD"
columns = { cost = 0.36 }
[sources.own]
files = "own_shop*"
date_format = "%d.%m.%Y"
decimal = ","
"""
